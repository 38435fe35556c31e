import type { OutboxKind } from "../outbox/attempt.ts";
import { type OutboxRow, undeliverable } from "../outbox/outbox.ts";
import type { Secret } from "../secrets/secret.ts";
import type { CodeNotice, Mail, MailProvider, Sms, SmsProvider } from "./delivery.ts";
import { renderMail, renderSms } from "./render.ts";

/** Derives the code of a row; handed in by whoever knows how codes are made. */
export type RenderCode = (
  account_id: string,
  payload: unknown,
) => { readonly code: Secret | null; readonly link: Secret | null };

export interface DeliveryDeps {
  readonly renderCode: RenderCode;
  readonly mail: MailProvider | undefined;
  readonly sms: SmsProvider | undefined;
}

type Message = { readonly mail: Mail } | { readonly sms: Sms };

/** How messages about codes are made and sent: the outbox kinds `verification` and `notice`. */
export function codeKinds({ renderCode, mail, sms }: DeliveryDeps): Readonly<Record<string, OutboxKind>> {
  const kind: OutboxKind<Message> = {
    render: async (row) => renderRow(renderCode, row),
    async send(message, signal) {
      if ("mail" in message) {
        if (!mail) throw undeliverable("SMTP_URL is not set");
        return mail.send(message.mail, signal);
      }
      if (!sms) throw undeliverable("SMS_URL is not set");
      return sms.send(message.sms, signal);
    },
  };
  return { verification: kind as OutboxKind, notice: kind as OutboxKind };
}

function renderRow(renderCode: RenderCode, row: OutboxRow): Message {
  const { account_id, payload } = row;
  const notice = payload as unknown as CodeNotice;
  const { to } = notice;
  if (to === null) throw undeliverable("there is nobody to send it to");
  // The channel said so already; a test account never reaches a real person, whatever a row says.
  if (account_id.startsWith("T")) throw undeliverable("a test account sends nothing");
  return renderAnyway(row, renderCode, to);
}

/** Also for what is only read, in the sandbox. */
export function renderAnyway(
  { id, account_id, payload, created_at }: Pick<OutboxRow, "id" | "account_id" | "payload" | "created_at">,
  renderCode: RenderCode,
  to: string,
): Message {
  const notice = payload as unknown as CodeNotice;
  const rendering = { id, account_id, to, notice, created_at, ...renderCode(account_id, payload) };
  return notice.strategy === "email" ? { mail: renderMail(rendering) } : { sms: renderSms(rendering) };
}

import { listInbox } from "../outbox/inbox.ts";
import type { OutboxRow } from "../outbox/outbox.ts";
import { MissingMasterKey } from "../secrets/master-keys.ts";
import { reveal } from "../secrets/secret.ts";
import type { Storage } from "../storage/storage.ts";
import type { CodeNotice } from "./delivery.ts";
import { type RenderCode, renderAnyway } from "./kinds.ts";

/** A message that a test account would have sent, rendered while it is read; nothing of it is stored. */
export interface SandboxMessage {
  readonly id: string;
  readonly created_at: string;
  readonly connection: string;
  readonly to: string;
  readonly subject: string;
  readonly text: string;
  readonly html: string;
  readonly verification_code?: string;
}

const LIMIT = 50;

/** Newest first; `to` null means every recipient. */
export async function sandboxMessages(
  storage: Storage,
  renderCode: RenderCode,
  account_id: string,
  to: string | null,
): Promise<readonly SandboxMessage[]> {
  const rows = await listInbox(storage, account_id, to, LIMIT);
  return rows.map((row) => {
    const { connection, to } = row.payload as unknown as CodeNotice;
    return { id: row.id, created_at: row.created_at, connection, to: to ?? "", ...shown(row, renderCode) };
  });
}

const UNREADABLE = "The code of this message hangs on a master key that is no longer configured.";

/** One that cannot be read hides none of the others. */
function shown(row: OutboxRow, renderCode: RenderCode) {
  try {
    return rendered(row, renderCode);
  } catch (error) {
    if (!(error instanceof MissingMasterKey)) throw error;
    return { subject: UNREADABLE, text: UNREADABLE, html: "" };
  }
}

function rendered(row: OutboxRow, renderCode: RenderCode) {
  const { to } = row.payload as unknown as CodeNotice;
  const message = renderAnyway(row, renderCode, to ?? "");
  const mail = "mail" in message ? message.mail : undefined;
  const { code } = renderCode(row.account_id, row.payload);
  return {
    subject: mail?.subject ?? "",
    text: reveal("mail" in message ? message.mail.text : message.sms.text),
    html: mail ? reveal(mail.html) : "",
    ...(code ? { verification_code: reveal(code) } : {}),
  };
}

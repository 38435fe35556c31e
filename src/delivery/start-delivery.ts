import { recordDeed } from "../audit/audit.ts";
import type { Egress } from "../egress/egress.ts";
import type { OutboxKind, OutboxLog } from "../outbox/attempt.ts";
import { type RunningOutbox, startOutbox } from "../outbox/worker.ts";
import { reveal, type Secret } from "../secrets/secret.ts";
import { instant, type Storage } from "../storage/storage.ts";
import { codeKinds, type RenderCode } from "./kinds.ts";
import { openSms } from "./sms.ts";
import { openSmtp } from "./smtp.ts";

export interface DeliverySettings {
  readonly smtp_url: Secret | null;
  readonly mail_from: string;
  readonly sms_url: Secret | null;
}

export interface DeliveryParts {
  readonly storage: Storage;
  readonly renderCode: RenderCode;
  readonly egress: Egress;
  readonly log: OutboxLog;
  /** What else goes out, beside messages about codes. */
  readonly further: Readonly<Record<string, OutboxKind>>;
}

/** Opens mail and SMS and starts the worker that empties the outbox. What it gives up is in the audit trail. */
export async function startDelivery(
  { smtp_url, mail_from, sms_url }: DeliverySettings,
  { storage, renderCode, egress, log, further }: DeliveryParts,
): Promise<RunningOutbox> {
  const mail = smtp_url === null ? undefined : await openSmtp({ url: reveal(smtp_url), from: mail_from });
  const sms = sms_url === null ? undefined : openSms(egress, reveal(sms_url));
  const kinds = { ...codeKinds({ renderCode, mail, sms }), ...further };
  const outbox = startOutbox(storage, kinds, {
    log,
    recordFailure: (tx, { account_id, id, kind, channel }, reason, now) => {
      const failed = { account_id, action: "message.undeliverable", outcome: "failure", entity: id } as const;
      const actor = { id: null, context: {} };
      return recordDeed(tx, { ...failed, now: instant(now), actor, facts: { kind, channel, reason } });
    },
  });
  const stop = async () => {
    await outbox.stop();
    mail?.close();
  };
  return { nudge: outbox.nudge, stop };
}

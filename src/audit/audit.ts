/**
 * What happened, append-only: who did what to which entity, from where, with what outcome. An event commits in the
 * transaction of the deed it tells of; there is no deed without its event and no event without its deed. Nothing is ever
 * taken out of an event, except where somebody stood who was erased.
 *
 * In: an `AuditEvent`, never holding a code, token or secret. Out: rows of `audit_events`, read by the activity log.
 */
import { uuidv7 } from "../secrets/uuid.ts";
import { epoch, type Instant, type Transaction } from "../storage/storage.ts";

export interface AuditEvent {
  readonly account_id: string;
  readonly id: string;
  readonly created_at: Instant;
  /** `noun.verb`, for example `verification_code.redeemed`. */
  readonly action: string;
  readonly outcome: "success" | "failure";
  /** Id of what was acted on. */
  readonly entity: string | null;
  /** Subject of the token that acted. */
  readonly actor: string | null;
  readonly context: Readonly<Record<string, unknown>>;
}

export type { RequestFacts } from "../http/facts.ts";

/** An event as its row. */
export interface AuditRow extends Omit<AuditEvent, "context"> {
  /** JSON */
  readonly context: string;
}

export function auditEvent(fields: Omit<AuditEvent, "id">): AuditRow {
  const { account_id, created_at, action, outcome, entity, actor } = fields;
  const context = JSON.stringify(fields.context);
  return { account_id, id: uuidv7(epoch(created_at)), created_at, action, outcome, entity, actor, context };
}

export interface Deed {
  readonly account_id: string;
  readonly action: string;
  /** What became of it: `success` where it is not said. */
  readonly outcome?: AuditEvent["outcome"];
  readonly entity: string | null;
  readonly now: Instant;
  /** Who did it, from where; null for the server itself. */
  readonly actor: { readonly id: string | null; readonly context: Readonly<Record<string, unknown>> };
  readonly facts?: Readonly<Record<string, unknown>>;
}

/** Records a deed in its own transaction, or the attempt at one that is refused. */
export async function recordDeed(
  tx: Transaction,
  { now, actor, facts, outcome = "success", ...deed }: Deed,
): Promise<void> {
  const context = { ...actor.context, ...facts };
  const event = auditEvent({ ...deed, outcome, created_at: now, actor: actor.id, context });
  await tx.db.insertInto("audit_events").values(event).execute();
}

/** For hot statements, which insert the event in the very statement that does the deed. */
export const audit_columns = "account_id, id, created_at, action, outcome, entity, actor, context";

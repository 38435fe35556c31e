import { instant, type Storage, type Transaction } from "../storage/storage.ts";
import { isUncertain, isUndeliverable, type OutboxRow, undeliverable } from "./outbox.ts";
import { retryDelay } from "./retry.ts";
import { hasOutcome, type Outcome, updateOutcome } from "./store.ts";

const NOTE_TRIES = 5;
/** Milliseconds between two tries to note an outcome, at most. */
const NOTE_PAUSE = 2_000;
/** How many attempts may end without an answer: the receiver may have taken the message at each of them. */
const UNCERTAIN_TRIES = 2;

/** How one kind of message is made and sent. Rendering may derive a code or sign a token; nothing of it is stored. */
export interface OutboxKind<M = unknown> {
  render(row: OutboxRow, now: number): Promise<M>;
  /** Resolves once the receiver took responsibility. `signal` fires when the attempt is given up. */
  send(message: M, signal: AbortSignal): Promise<void>;
}

export interface OutboxLog {
  info(fields: object, message: string): void;
  warn(fields: object, message: string): void;
  error(fields: object, message: string): void;
}

export interface AttemptContext {
  readonly storage: Storage;
  readonly kinds: Readonly<Record<string, OutboxKind>>;
  readonly log: OutboxLog;
  readonly now: () => number;
  readonly random: () => number;
  readonly claimed_by: string;
  /** Milliseconds after which an attempt is given up. */
  readonly send_timeout: number;
  /** Fires when nobody waits any more for what is under way. */
  readonly over: AbortSignal;
  /** Runs in the transaction that gives the message up; records the audit event. */
  recordFailure(tx: Transaction, row: OutboxRow, reason: string, now: number): Promise<void>;
}

/** One attempt to deliver a claimed row, and the note of how it ended. Rejects only when that note could not be written. */
export async function attemptDelivery(context: AttemptContext, row: OutboxRow): Promise<void> {
  const error = await deliver(context, row).then(
    () => undefined,
    (cause: unknown) => (cause instanceof Error ? cause : new Error(String(cause))),
  );
  const now = context.now();
  const outcome = outcomeOf(row, error, now, context.random);
  const noted = await insist(
    () => note(context, row, outcome, now),
    () => !context.over.aborted && Date.parse(row.expires_at) > context.now(),
  );
  tell(context.log, row, outcome, noted);
}

async function deliver({ kinds, now, send_timeout }: AttemptContext, row: OutboxRow): Promise<void> {
  if (Date.parse(row.expires_at) <= now()) {
    throw undeliverable(
      row.last_error === null ? "expired before it could be sent" : `expired; last: ${row.last_error}`,
    );
  }
  // A newer process may have enqueued a kind this one does not know: leave it to a retry.
  const kind = Object.hasOwn(kinds, row.kind) ? kinds[row.kind] : undefined;
  if (!kind) throw new Error(`unknown kind ${row.kind}`);
  await withinTime(send_timeout, async (signal) => kind.send(await kind.render(row, now()), signal));
}

async function withinTime(ms: number, work: (signal: AbortSignal) => Promise<void>): Promise<void> {
  const given_up = new AbortController();
  let timer: NodeJS.Timeout | undefined;
  const timeout = new Promise<never>((_, reject) => {
    timer = setTimeout(() => {
      given_up.abort();
      reject(new Error(`not sent within ${ms} ms`));
    }, ms);
  });
  try {
    await Promise.race([work(given_up.signal), timeout]);
  } finally {
    clearTimeout(timer);
  }
}

function outcomeOf(row: OutboxRow, error: Error | undefined, now: number, random: () => number): Outcome {
  const at = instant(now);
  const unanswered = row.unanswered + (isUncertain(error) ? 1 : 0);
  if (!error) return { state: "sent", next_attempt_at: at, last_error: null, finished_at: at, unanswered };
  const given_up = unanswered >= UNCERTAIN_TRIES;
  const last_error = `${given_up ? "may have arrived all the same: " : ""}${error.message}`.slice(0, 300);
  if (given_up || isUndeliverable(error))
    return { state: "failed", next_attempt_at: at, last_error, finished_at: at, unanswered };
  const expires_at = Date.parse(row.expires_at);
  const next = Math.min(now + retryDelay(row.attempts, expires_at - now, random), Math.max(now, expires_at));
  return { state: "pending", next_attempt_at: instant(next), last_error, finished_at: null, unanswered };
}

/**
 * A note that is lost means a second message: the claim is still being renewed, so there is time to try again. While the
 * database is away it is tried for as long as somebody `waits`.
 */
async function insist<T>(work: () => Promise<T>, waits: () => boolean): Promise<T> {
  for (let tries = 1; ; tries++) {
    try {
      return await work();
    } catch (error) {
      const away = (error as { code?: unknown }).code === "temporarily_unavailable";
      if (tries >= NOTE_TRIES && !(away && waits())) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.min(500 * tries, NOTE_PAUSE)));
    }
  }
}

function note(context: AttemptContext, row: OutboxRow, outcome: Outcome, now: number): Promise<boolean> {
  return context.storage.write(async (tx) => {
    const ours = await updateOutcome(tx.db, row, context.claimed_by, outcome);
    if (ours && outcome.state === "failed") await context.recordFailure(tx, row, outcome.last_error ?? "", now);
    // The try before may have written it, and only the answer to that was lost.
    return ours || hasOutcome(tx.db, row, outcome);
  });
}

function tell(log: OutboxLog, row: OutboxRow, outcome: Outcome, noted: boolean): void {
  const { state, last_error, next_attempt_at } = outcome;
  const facts = {
    account_id: row.account_id,
    message_id: row.id,
    kind: row.kind,
    channel: row.channel,
    attempts: row.attempts,
  };
  if (!noted) log.warn({ ...facts, state }, "message taken over by another process");
  else if (state === "sent") log.info(facts, "message sent");
  else if (state === "pending")
    log.warn({ ...facts, reason: last_error, next_attempt_at }, "message not sent; will try again");
  else log.error({ ...facts, reason: last_error }, "message undeliverable");
}

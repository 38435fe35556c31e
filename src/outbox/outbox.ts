/**
 * What must be sent is kept here until it is. A message is enqueued in the transaction of the deed it tells of, so a dead
 * mail server loses no request; a worker on every process delivers it, one worker a message, with retries until it expires.
 *
 * In: kind, channel and a payload without any secret. No message is stored: the kind renders it at the moment of sending,
 * which is when a code is derived or a token signed. Out: sent once, unless nobody knows whether the receiver took it: a
 * process died between its yes and the note of it, or it did not answer in time. What a sender calls uncertain is tried
 * once more and then given up; anything else is tried until it expires, with the same id each time. The channels
 * 'sandbox' and 'none' are never picked up.
 */
import { uuidv7 } from "../secrets/uuid.ts";
import { type Instant, instant, type Transaction } from "../storage/storage.ts";
import { insertRow } from "./store.ts";

export type SentChannel = "mail" | "sms" | "http";

/** 'sandbox' waits to be read in the inbox of a test account; 'none' has nobody to go to. */
export type Channel = SentChannel | "sandbox" | "none";

export interface OutboxMessage {
  readonly account_id: string;
  /** Names the renderer and sender that `startOutbox` was given. */
  readonly kind: string;
  readonly channel: Channel;
  /** Who waits for themselves alone: host and port of a server that a client named, else the account. */
  readonly destination: string;
  /** Whose sandbox inbox the message is in; null for a production account. */
  readonly inbox: string | null;
  /** What rendering needs. Never a code, token or secret. */
  readonly payload: Readonly<Record<string, unknown>>;
  /** Milliseconds since the epoch. */
  readonly expires_at: number;
}

export interface OutboxRow {
  readonly account_id: string;
  /** uuid; stable over retries, so a receiver can tell a repetition. */
  readonly id: string;
  readonly kind: string;
  readonly channel: Channel;
  readonly destination: string;
  readonly inbox: string | null;
  readonly payload: Readonly<Record<string, unknown>>;
  /** Counts the attempt under way. */
  readonly attempts: number;
  /** How many earlier attempts the receiver may have taken without saying so. */
  readonly unanswered: number;
  /** Why the last attempt failed. */
  readonly last_error: string | null;
  readonly created_at: Instant;
  readonly expires_at: Instant;
}

/**
 * Puts a message into the outbox as part of the caller's transaction and returns its id. `now` in milliseconds. Once the
 * transaction is on disk, `nudge` on the running outbox saves the worker's wait for its next look.
 */
export async function enqueue(tx: Transaction, message: OutboxMessage, now: number): Promise<string> {
  const { expires_at, ...rest } = message;
  const id = uuidv7(now);
  const withheld = message.channel === "sandbox" || message.channel === "none";
  await insertRow(tx.db, { ...rest, id, created_at: instant(now), expires_at: instant(expires_at) }, withheld);
  return id;
}

const PERMANENT: unique symbol = Symbol("permanent");

/** An error that no retry will mend: the message fails at once. `reason` is stored and logged, so it holds no secret. */
export function undeliverable(reason: string, cause?: unknown): Error {
  return Object.assign(new Error(reason, { cause }), { [PERMANENT]: true });
}

const UNCERTAIN: unique symbol = Symbol("uncertain");

/** The receiver may have the message, and could not tell a second one from another: there is one more attempt at most. */
export function uncertain(reason: string, cause?: unknown): Error {
  return Object.assign(new Error(reason, { cause }), { [UNCERTAIN]: true });
}

export function isUncertain(error: unknown): boolean {
  return error instanceof Error && UNCERTAIN in error;
}

export function isUndeliverable(error: unknown): boolean {
  return error instanceof Error && PERMANENT in error;
}

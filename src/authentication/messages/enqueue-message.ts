import { randomUUID } from "node:crypto";
import type { LoginChange, MessagePurpose } from "../../delivery/delivery.ts";
import { type Account, isTestAccount } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { homeOf, isScheme } from "../../directory/clients/home.ts";
import { canonicalEmail } from "../../directory/users/identifier.ts";
import { oneLine } from "../../http/one-line.ts";
import { type Channel, enqueue } from "../../outbox/outbox.ts";
import { base64url } from "../../secrets/digest.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";
import type { Challenge, CodeFormat } from "../codes/code.ts";
import type { VerificationPayload } from "./message.ts";

/** What a message derives its code from; a message without one says how long it is of use. */
export interface MessageCode extends Pick<Challenge, "key_version" | "counter" | "length"> {
  readonly id: string;
  readonly challenge_id: Uint8Array | null;
  readonly format: string;
  /** The message may link to the client's page. */
  readonly link_digest?: Uint8Array | null;
  readonly expires_at: Instant;
}

/** For a message without one: it is of use for a day. `now` in milliseconds. */
export function noCode(now: number): MessageCode {
  const nothing = { challenge_id: null, key_version: "", counter: 0, length: 0, format: "numeric" };
  return { ...nothing, id: randomUUID(), expires_at: instant(now + 24 * 3_600_000) };
}

export interface CodeMessage {
  readonly account: Account;
  /** Who speaks to the person. */
  readonly sender: { readonly name: string; readonly login_uri: string | null; readonly host: string | null };
  readonly code: MessageCode;
  readonly kind: "verification" | "notice";
  readonly purpose: MessagePurpose;
  readonly further?: readonly LoginChange[];
  readonly connection: string;
  readonly strategy: "email" | "sms";
  /** null where nothing is to be sent: the row is written all the same. */
  readonly to: string | null;
  /** BCP 47 */
  readonly locale: string;
  readonly now: number;
}

/** Puts a message about a code into the outbox, without the code. A test account's waits in the sandbox inbox. */
export async function enqueueMessage(tx: Transaction, message: CodeMessage): Promise<void> {
  const { account, sender, code, kind, purpose, further, connection, to, locale, now } = message;
  const { account_id } = account;
  const expires_at = Date.parse(code.expires_at);
  const payload: VerificationPayload = {
    purpose,
    ...(further ? { further } : {}),
    connection,
    strategy: message.strategy,
    to,
    code_id: code.id,
    challenge_id: code.challenge_id && base64url(code.challenge_id),
    key_version: code.key_version,
    counter: code.counter,
    format: code.format as CodeFormat,
    length: code.length,
    locale,
    client_name: sender.name,
    expires_at: code.expires_at,
    lifetime: Math.max(1, Math.round((expires_at - now) / 1000)),
    login_uri: code.link_digest ? sender.login_uri : null,
    host: sender.host,
  };
  const channel = channelOf(account_id, message);
  const inbox = channel === "sandbox" && to !== null ? (canonicalEmail(to) ?? to) : null;
  const destination = account_id;
  await enqueue(tx, { account_id, kind, channel, destination, inbox, payload: { ...payload }, expires_at }, now);
}

/**
 * How messages of a client are signed: one that made itself known by the host that it comes from, or it could write what it
 * likes into them. Where that is none, or the account gave its client no name, by the account, whose people it logs in. `host`
 * is where their code is entered, where that is not the client's own page.
 */
export function senderOf(
  account: Pick<Account, "name">,
  client: Pick<Client, "name" | "client_id" | "origin" | "settings">,
  host?: string,
): CodeMessage["sender"] {
  const { login_uri, callbacks } = client.settings;
  const home = homeOf(client, callbacks[0]);
  const from = home === undefined || isScheme(home) ? account.name : home;
  const name = client.origin === "account" ? oneLine(client.name ?? "") || account.name : from;
  return { name, login_uri, host: host ?? (login_uri === null ? null : new URL(login_uri).hostname) };
}

/** In whose name a message comes that no client sends: the account's. */
export const senderIs = ({ name }: Account): CodeMessage["sender"] => ({ name, login_uri: null, host: null });

function channelOf(account_id: string, { to, strategy }: CodeMessage): Channel {
  if (to === null) return "none";
  if (isTestAccount(account_id)) return "sandbox";
  return strategy === "email" ? "mail" : "sms";
}

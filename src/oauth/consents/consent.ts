/**
 * Consents: what people agreed to at clients that are not the account's own.
 *
 * In: what a person was asked for and allowed. Out: whether they have to be asked again; what they agreed to, to look
 * at and to take back, which ends what the client got by it.
 */
import { recordDeed } from "../../audit/audit.ts";
import { authorizationsOf } from "../../authentication/sessions/sessions.ts";
import type { Client } from "../../directory/clients/client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { familiesAt } from "../refresh/revoke-family.ts";
import {
  addConsent,
  type ConsentKey,
  deleteConsents,
  deleteConsentsAt,
  selectConsent,
  selectConsents,
} from "./store.ts";

/** What somebody agrees to. */
export interface Agreement extends ConsentKey {
  readonly scope: readonly string[];
  /** Where a client that registered itself said it comes from: it may name any hosts, and more later. Else empty. */
  readonly host: string;
}

/** People agree to a client unless the account made it and calls it its own. */
export const isForeign = ({ settings, origin }: Client) => !settings.first_party || origin !== "account";

/** @returns whether they agreed to all of it, at once or bit by bit, and to the client at this host last. */
export async function hasAgreed({ storage }: Directory, { scope, host, ...key }: Agreement): Promise<boolean> {
  const agreed = await selectConsent(storage.read, key);
  if (agreed?.host !== host) return false;
  const agreed_to = new Set(agreed.scope);
  return scope.every((one) => agreed_to.has(one));
}

/** The person agreed; remembered with what they agreed to before at the same host. */
export async function recordConsent({ storage }: Directory, agreement: Agreement): Promise<void> {
  const granted_at = instant(storage.now());
  await storage.write((tx) => addConsent(tx.db, { ...agreement, granted_at }));
}

/** What a person agreed to, with the clients that still live. */
export async function listConsents(directory: Directory, account_id: string, user_id: string) {
  const consents = await selectConsents(directory.storage.read, account_id, user_id);
  const clients = await Promise.all(consents.map(({ client_id }) => lookUpClient(directory, account_id, client_id)));
  return consents.flatMap((consent, index) => {
    const client = clients[index];
    return client ? [{ ...consent, client }] : [];
  });
}

/**
 * A person takes back what they agreed to: the client's logins in their name end at once. @returns false when there was
 * nothing.
 */
export async function withdrawConsent(
  directory: Directory,
  account_id: string,
  user_id: string,
  client_id: string,
  actor: Actor,
): Promise<boolean> {
  const { storage, revocations } = directory;
  return storage.write(async (tx) => {
    if (!(await deleteConsents(tx.db, account_id, user_id, client_id))) return false;
    const led = await authorizationsOf(tx, account_id, user_id, client_id);
    // Refresh tokens may outlive the session that led to them.
    const lasting = await familiesAt(tx, { account_id, user_id, client_id });
    const ended = [...led, ...lasting].map((sid) => `sid:${sid}`);
    await revocations.record(tx, account_id, ended);
    const deed = { account_id, action: "consent.withdrawn", entity: client_id, now: instant(storage.now()), actor };
    await recordDeed(tx, { ...deed, facts: { user_id } });
    return true;
  });
}

/** Part of the transaction that removes a client for good: nobody can agree to it any more, nor take that back. */
export function forgetConsents({ db }: Transaction, account_id: string, client_id: string): Promise<void> {
  return deleteConsentsAt(db, account_id, client_id);
}

/**
 * Consents: what people agreed to at clients that are not the account's own.
 *
 * In: what a person was asked for and allowed. Out: whether they have to be asked again; what they agreed to, to look
 * at and to take back, which ends what the client got by it.
 */
import { recordDeed } from "../../audit/audit.ts";
import { authorizationsSince, pagesOfAuthorizations } from "../../authentication/sessions/led-authorizations.ts";
import type { Client } from "../../directory/clients/client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import { DEVICE_CODE } from "../../directory/clients/settings.ts";
import { noteTried } from "../../directory/clients/untried.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import type { Bearer } from "../../http/contract.ts";
import { oneSpelling } from "../../http/one-spelling.ts";
import { inPages } from "../../storage/pages.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { familiesSince, type HeldAt, pagesOfFamilies } from "../refresh/find-family.ts";
import {
  addConsent,
  type ConsentKey,
  deleteConsents,
  deleteConsentsAt,
  forgetOldest,
  type NewestConsent,
  type StoredConsent,
  selectAgreed,
  selectConsent,
  selectConsents,
  selectNewestConsents,
} from "./store.ts";

/** What somebody agrees to. */
export interface Agreement extends ConsentKey {
  readonly scope: readonly string[];
  /** Where a client that registered itself said it comes from: it may name any hosts, and more later. Else empty. */
  readonly host: string;
}

/** People agree to a client unless the account made it and calls it its own. */
export const isForeign = ({ settings, origin }: Client) => !settings.first_party || origin !== "account";

/** The scopes that a person agreed to, at whichever host; undefined where they did not. */
export async function lookUpAgreed(
  { storage }: Directory,
  { audience, ...who }: ConsentKey,
): Promise<readonly string[] | undefined> {
  return (await selectConsent(storage.read, { ...who, audience: oneSpelling(audience) }))?.scope;
}

/** What people do about themselves at the account API. */
const FOR_THEMSELVES = "user:customers";

/**
 * Whether the client of a person's token acts for them as they let a stranger: the account did not make it, or it is
 * not the account's own and they were asked. One at which nobody was asked logs its people in over the account API.
 */
export async function actsAsStranger(
  directory: Directory,
  { account_id, client_uuid, subject: user_id, audience = "", by_device }: Bearer,
): Promise<boolean> {
  const client = await lookUpClient(directory, account_id, client_uuid);
  // Of a device everybody is asked: it may be anybody's. In a version before its logins did not say so.
  if (client?.origin !== "account" || by_device) return true;
  if (!isForeign(client) && !client.settings.grant_types.includes(DEVICE_CODE)) return false;
  const agreed = await lookUpAgreed(directory, { account_id, user_id, client_id: client.id, audience });
  return agreed?.includes(FOR_THEMSELVES) === true;
}

/** @returns whether they agreed to all of it, at once or bit by bit, and to the client at this host last. */
export async function hasAgreed({ storage }: Directory, { scope, host, ...key }: Agreement): Promise<boolean> {
  const agreed = await selectConsent(storage.read, key);
  if (agreed?.host !== host) return false;
  const agreed_to = new Set(agreed.scope);
  return scope.every((one) => agreed_to.has(one));
}

/** The person agreed; remembered with what they agreed to before at the same host, and at this client, as far as it fits. */
export async function recordConsent({ storage }: Directory, agreement: Agreement): Promise<void> {
  const now = storage.now();
  const granted_at = instant(now);
  await storage.write(async (tx) => {
    await noteTried(tx, { account_id: agreement.account_id, id: agreement.client_id }, now);
    const { db } = tx;
    await addConsent(db, { ...agreement, granted_at });
    await forgetOldest(db, agreement);
  });
}

/** Rows that are read together: each may hold as much as two grants. */
const ROWS = 5;

/** What a person agreed to, in pages, with the clients that still live. */
export async function* listConsents(directory: Directory, account_id: string, user_id: string) {
  const pages = inPages<StoredConsent>(ROWS, (last) =>
    selectConsents(directory.storage.read, account_id, user_id, last, ROWS),
  );
  for await (const page of pages) yield await withClients(directory, account_id, page);
}

/** Bytes of the scopes of one agreement, beyond which nobody reads them on a page. */
const TOLD = 4_000;

/** The newest of them, with the scopes where a person would read them. */
export async function newestConsents(directory: Directory, account_id: string, user_id: string) {
  const newest = await selectNewestConsents(directory.storage.read, account_id, user_id, TOLD);
  return withClients<NewestConsent>(directory, account_id, newest);
}

async function withClients<C extends NewestConsent>(directory: Directory, account_id: string, consents: readonly C[]) {
  const clients = await Promise.all(consents.map(({ client_id }) => lookUpClient(directory, account_id, client_id)));
  return consents.flatMap((consent, index) => {
    const client = clients[index];
    return client ? [{ ...consent, client }] : [];
  });
}

/** Whether one of these people agreed to a client: to one that registered itself, at this host. */
export function anyAgreed(
  { storage }: Directory,
  { account_id, id, origin }: Pick<Client, "account_id" | "id" | "origin">,
  user_ids: readonly string[],
  host: string,
): Promise<boolean> {
  return selectAgreed(storage.read, account_id, user_ids, id, origin === "dynamic" ? host : undefined);
}

/** Consents that one transaction removes. */
export const CONSENTS = 500;
/** Logins that one transaction ends. */
const PAGE = 100;
/** Milliseconds by which the clock that a login began by may lag behind ours. */
const LAG = 60_000;

/** Whether a client that people are asked about by now has logins of before, when it was the account's own. */
async function holdsUnasked(directory: Directory, held: HeldAt): Promise<boolean> {
  const client = await lookUpClient(directory, held.account_id, held.client_id);
  if (client?.id !== held.client_id || !isForeign(client)) return false;
  for await (const _ of pagesOfFamilies(directory.storage.read, held)) return true;
  return false;
}

/**
 * A person takes back what they agreed to: the client's logins in their name end at once. Of many all but the last ones
 * end page by page before, while the consent stands: whoever was interrupted takes it back again.
 *
 * @returns false when there was nothing.
 */
export async function withdrawConsent(
  directory: Directory,
  account_id: string,
  user_id: string,
  client_id: string,
  actor: Actor,
): Promise<boolean> {
  const { storage, revocations } = directory;
  const holding = { account_id, user_id, client_id };
  const agreed = await selectAgreed(storage.read, account_id, [user_id], client_id);
  if (!agreed && !(await holdsUnasked(directory, holding))) return false;
  const since = instant(storage.now() - LAG);
  const seen = new Set<string>();
  let last: readonly string[] = [];
  // Refresh tokens may outlive the session that led to them.
  for (const pages of [pagesOfAuthorizations(storage.read, holding), pagesOfFamilies(storage.read, holding)]) {
    for await (const page of pages) {
      for (const sid of page) seen.add(sid);
      last = [...last, ...page.map(named)];
      if (last.length < PAGE) continue;
      const some = last;
      await storage.write((tx) => revocations.record(tx, account_id, some));
      last = [];
    }
  }
  return storage.write(async (tx) => {
    if (!(await deleteConsents(tx.db, account_id, user_id, client_id)) && agreed) return false;
    const begun = [
      ...(await authorizationsSince(tx.db, holding, since)),
      ...(await familiesSince(tx.db, holding, since)),
    ];
    await revocations.record(tx, account_id, [...last, ...begun.filter((sid) => !seen.has(sid)).map(named)]);
    const deed = { account_id, action: "consent.withdrawn", entity: client_id, now: instant(storage.now()), actor };
    await recordDeed(tx, { ...deed, facts: { user_id } });
    return true;
  });
}

const named = (sid: string) => `sid:${sid}`;

/**
 * Part of a transaction that removes a client for good, or goes before it where more agreed to it than one transaction
 * takes: nobody can agree to it any more, nor take that back. @returns how many consents went, at most `limit`.
 */
export function forgetConsents(
  { db }: Transaction,
  { account_id, id }: Pick<Client, "account_id" | "id">,
  limit: number,
): Promise<number> {
  return deleteConsentsAt(db, account_id, id, limit);
}

import { recordDeed } from "../../audit/audit.ts";
import { authorizationsOf } from "../../authentication/sessions/sessions.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { type Client, isPublic } from "../../directory/clients/client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { instant } from "../../storage/storage.ts";
import { familiesAt } from "../refresh/revoke-family.ts";
import { type AuthorizationParameters, askedScope } from "./authorization-request.ts";
import { addConsent, deleteConsents, selectConsent, selectConsents } from "./consent-store.ts";

interface Asking {
  readonly account: Account;
  readonly client: Client;
  readonly user_id: string;
  readonly parameters: AuthorizationParameters;
}

/** People agree to a client unless the account made it and calls it its own. */
export const isForeign = ({ settings, origin }: Client) => !settings.first_party || origin !== "account";

/**
 * Whether this person has to be asked: never for a client of the account's own; otherwise until they agreed to all of
 * these scopes. What they agreed to is never applied silently where anybody on the device may pose as the client (RFC
 * 8252 §8.6).
 */
export async function needsConsent(
  directory: Directory,
  { account, client, user_id, parameters }: Asking,
): Promise<boolean> {
  if (parameters.device !== undefined) return true;
  if (parameters.own_page || !isForeign(client)) return false;
  if (parameters.prompt.includes("consent")) return true;
  if (isPublic(client.settings) && !parameters.redirect_uri.startsWith("https:")) return true;
  const agreed = await selectConsent(directory.storage.read, keyOf({ account, client, user_id, parameters }));
  return !agreed || askedScope(parameters).some((scope) => !agreed.includes(scope));
}

const keyOf = ({ account, client, user_id, parameters }: Asking) => ({
  account_id: account.account_id,
  user_id,
  client_id: client.id,
  audience: parameters.audience ?? "",
});

/** The person agreed; remembered with what they agreed to before. */
export async function recordConsent({ storage }: Directory, asking: Asking): Promise<void> {
  const agreed = { ...keyOf(asking), scope: askedScope(asking.parameters), granted_at: instant(storage.now()) };
  await storage.write((tx) => addConsent(tx.db, agreed));
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

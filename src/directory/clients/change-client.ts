import { isDeepStrictEqual } from "node:util";
import { recordDeed } from "../../audit/audit.ts";
import { noSuch, refuseField } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { checkClientSettings, checkSettingsLength } from "./check-settings.ts";
import type { Client } from "./client.ts";
import { findClientById, forgetClient } from "./find-client.ts";
import { mintSecret } from "./secret.ts";
import { type ClientSettings, clientSettings } from "./settings.ts";
import {
  deleteClient,
  deleteForGood,
  deleteSecrets,
  holdSettings,
  insertSecret,
  selectSecrets,
  updateClient,
  updateSecretsEnd,
} from "./store.ts";

export interface ClientChange {
  readonly name?: string | null | undefined;
  readonly description?: string | undefined;
  readonly settings: Partial<ClientSettings>;
  /** What stays as the account has set it from now on, beside what is changed here; left out, as before. */
  readonly set_by_account?: readonly string[] | undefined;
}

/**
 * What a client that the account did not make says of itself, told by what it is: as committed, and held until then. It
 * may refuse.
 */
type OwnChange = (held: Client) => ClientChange;

/** May refuse a change, by what the client is when nobody else changes it, and by what it becomes. */
type Permit = (before: ClientSettings, after: ClientSettings) => void;

const takesSecret = ({ token_endpoint_auth_method }: Pick<ClientSettings, "token_endpoint_auth_method">) =>
  token_endpoint_auth_method.startsWith("client_secret_");

/** What is judged by one another. */
const judged_together: readonly (readonly (keyof ClientSettings)[])[] = [
  ["callbacks", "login_uri"],
  ["callbacks", "subject_type", "sector_identifier_uri"],
  ["jwks", "jwks_uri"],
  ["rotate_refresh_tokens", "token_endpoint_auth_method"],
];

/** Of what is held, that by which a change is judged: what was taken before a rule is in the way of no other change. */
function besideOf(held: ClientSettings, change: Partial<ClientSettings>): Partial<ClientSettings> {
  const names = judged_together.filter((group) => group.some((name) => name in change)).flat();
  return Object.fromEntries(names.map((name) => [name, held[name]]));
}

/** Keys are in one place or the other: whoever says one has said both. */
const KEYS: readonly string[] = ["jwks", "jwks_uri"];
const saidWith = (name: string) => (KEYS.includes(name) ? KEYS : [name]);

/** What a client says of itself, without what the account has set. */
export const withoutSet = <T extends object>(said: T, { set_by_account }: Pick<Client, "set_by_account">) =>
  Object.fromEntries(Object.entries(said).filter(([name]) => !set_by_account.includes(name))) as Partial<T>;

/** What stays as the account has it: as before or as it says, and what it gives another value. */
function setAfter(before: Client, after: Client, named: readonly string[] | undefined): readonly string[] {
  const values = ({ name, description, settings }: Client) => ({ name, description, ...settings });
  const [was, is]: Readonly<Record<string, unknown>>[] = [values(before), values(after)];
  const changed = Object.keys(is ?? {}).filter((name) => !isDeepStrictEqual(was?.[name], is?.[name]));
  return [...new Set([...(named ?? before.set_by_account), ...changed].flatMap(saidWith))];
}

/**
 * Sets what the change names and leaves the rest; secrets end where the client takes none any more. What the account
 * changes at a client that it did not make is noted: who saves what they read has set nothing by it.
 *
 * @throws 400 invalid_request, 404 not_found; what an own change and `permit` throw.
 */
export async function changeClient(
  directory: Directory,
  client: Client,
  change: ClientChange | OwnChange,
  actor: Actor,
  permit?: Permit,
): Promise<Client> {
  const { account_id, id } = client;
  const now = instant(directory.storage.now());
  await directory.storage.write(async (tx) => {
    const found = await holdSettings(tx.db, account_id, id, now);
    if (!found) throw noSuch("client");
    const { stored, set_by_account } = found;
    const held = clientSettings(stored);
    const before = { ...client, settings: held, set_by_account };
    const by_itself = typeof change === "function";
    const { name, description, settings, set_by_account: named } = by_itself ? change(before) : change;
    const after = { ...stored, ...settings };
    permit?.(held, clientSettings(after));
    checkClientSettings(settings, besideOf(held, settings));
    checkSettingsLength(settings, stored);
    const fields = { ...(name === undefined ? {} : { name }), ...(description === undefined ? {} : { description }) };
    if (named !== undefined && client.origin === "account")
      throw refuseField("set_by_account", "its_own", "is of clients that the account did not make");
    const changed = Object.keys({ ...fields, ...settings, ...(named === undefined ? {} : { set_by_account: named }) });
    const stays = by_itself || client.origin === "account";
    const names = stays
      ? set_by_account
      : setAfter(before, { ...before, ...fields, settings: clientSettings(after) }, named);
    await updateClient(tx.db, account_id, id, { ...fields, settings: after, set_by_account: names }, now);
    if (!takesSecret(clientSettings(after))) await deleteSecrets(tx.db, account_id, id);
    const facts = { changed };
    await recordDeed(tx, { account_id, action: "client.changed", entity: id, now, actor, facts });
  });
  forgetClient(directory, client);
  return findClientById(directory, account_id, id);
}

export interface RotatedSecret {
  readonly client: Client;
  readonly client_secret: Secret;
}

/** So many secrets of a client are good at a time: one a week, with the longest overlap, are six. */
const MOST_SECRETS = 20;

/**
 * A new secret; the old ones go on for `overlap` seconds, and none ends before it was said to: that could be one in use.
 *
 * @throws 400 invalid_request for a client that authenticates by none, or has too many; 404 not_found.
 */
export async function rotateSecret(
  directory: Directory,
  client: Client,
  overlap: number,
  actor: Actor,
): Promise<RotatedSecret> {
  const { account_id, id } = client;
  const milliseconds = directory.storage.now();
  const now = instant(milliseconds);
  const { client_secret, row } = mintSecret(account_id, id, milliseconds);
  await directory.storage.write(async (tx) => {
    const held = await holdSettings(tx.db, account_id, id, now);
    if (!held) throw noSuch("client");
    const { token_endpoint_auth_method: method } = clientSettings(held.stored);
    if (!takesSecret({ token_endpoint_auth_method: method }))
      throw refuseField("token_endpoint_auth_method", "no_secret", `is ${method}, which takes no secret`);
    await updateSecretsEnd(tx.db, account_id, id, instant(milliseconds + overlap * 1000), now);
    if ((await selectSecrets(tx.db, account_id, id, now)).length >= MOST_SECRETS)
      throw refuseField(
        "overlap_seconds",
        "too_many",
        `would leave more than ${MOST_SECRETS} secrets good: a shorter one ends older ones sooner, 0 all of them at once`,
      );
    await insertSecret(tx.db, row);
    const facts = { overlap_seconds: overlap };
    await recordDeed(tx, { account_id, action: "client.secret_rotated", entity: id, now, actor, facts });
  });
  forgetClient(directory, client);
  return { client: { ...client, updated_at: now }, client_secret };
}

/**
 * Deletes a client: nothing new is issued to it from the moment this resolves, on any process, and what was issued stops.
 *
 * @throws 404 not_found.
 */
export async function removeClient(directory: Directory, client: Client, actor: Actor): Promise<Client> {
  const { account_id, id } = client;
  const now = instant(directory.storage.now());
  const deleted = await directory.storage.write(async (tx) => {
    const row = await deleteClient(tx.db, account_id, id, actor.id, now);
    if (!row) throw noSuch("client");
    await directory.revocations.record(tx, account_id, [`client:${id}`]);
    await recordDeed(tx, { account_id, action: "client.deleted", entity: id, now, actor });
    return row;
  });
  forgetClient(directory, client);
  return deleted;
}

/**
 * Part of a transaction: everything of a client that the account did not make itself; of one whose client_id is an address
 * and that was deleted its row stays, or the address would bring it back.
 *
 * @returns its client_id; undefined when nothing of it was left but that.
 */
export function purgeClient({ db }: Transaction, account_id: string, id: string): Promise<string | undefined> {
  return deleteForGood(db, account_id, id);
}

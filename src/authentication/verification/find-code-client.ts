import type { Client } from "../../directory/clients/client.ts";
import { user_types } from "../../directory/clients/settings.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { codeDigest, normaliseCode, type PresentedCode } from "./code.ts";
import { type Naming, readIdentifier } from "./name-person.ts";
import { findPerson, formerPerson } from "./person.ts";
import { type LoginKey, selectClientOfDigest, selectClientsOfPerson, selectLoginSession } from "./store.ts";
import { REMEMBERED } from "./verification.ts";

export interface CodeNaming extends Omit<Naming, "client"> {
  /** The caller's own client; none where it lives in another account. */
  readonly own: Client | undefined;
  readonly verification_code: Secret;
  /** Whether the caller may act for the client of this uuid. */
  readonly mayActFor: (client_id: string) => boolean;
}

/**
 * The client that a presented code was made for: a strong code is found by itself, any other, and a mistyped one,
 * belongs to the login session that is named beside it, else it is looked for among the live codes of the person it was
 * sent to, where digits say whose they are, and else the caller's own client comes first.
 *
 * @returns undefined when nothing names a client.
 * @throws 400 invalid_request, as naming a person does.
 */
export async function lookUpCodeClient(directory: Directory, naming: CodeNaming): Promise<string | undefined> {
  const presented = normaliseCode(naming.verification_code);
  return (
    (await ofDigest(directory, naming, presented)) ??
    (await ofSession(directory, naming)) ??
    (await ofPerson(directory, naming, presented))
  );
}

async function ofDigest(
  { storage, master_keys, public_url }: Directory,
  { account, audience }: CodeNaming,
  { kind, code }: PresentedCode,
): Promise<string | undefined> {
  if (kind !== "typable" && kind !== "link") return undefined;
  const { account_id } = account;
  const binding = { account_id, client_id: "", audience: canonicalAudience(account, public_url, audience), person: "" };
  const digests = master_keys.versions.map((version) => codeDigest(master_keys, version, binding, kind, code));
  const column = kind === "link" ? "link_digest" : "typed_digest";
  return selectClientOfDigest(storage.read, account_id, column, digests);
}

async function ofSession(
  { storage }: Directory,
  { account, login_session_id, now }: CodeNaming,
): Promise<string | undefined> {
  if (login_session_id === undefined) return undefined;
  return (await selectLoginSession(storage.read, account.account_id, login_session_id, instant(now - REMEMBERED)))
    ?.client_id;
}

/**
 * The client says which type of user an identifier names, and is not known yet: the type of the caller's own goes first. Digits
 * are found with their client alone, so of several that wait for digits of this person the right ones say themselves whose
 * they are.
 */
async function ofPerson(
  directory: Directory,
  naming: CodeNaming,
  presented: PresentedCode,
): Promise<string | undefined> {
  const waiting = await waitingFor(directory, naming, presented.kind);
  const [first, second] = waiting;
  if (second === undefined || presented.kind !== "numeric") return first?.client_id;
  const { storage, master_keys } = directory;
  const { account_id } = naming.account;
  const digests = waiting.flatMap((login) =>
    master_keys.versions.map((version) => codeDigest(master_keys, version, login, "numeric", presented.code)),
  );
  return (await selectClientOfDigest(storage.read, account_id, "typed_digest", digests)) ?? first?.client_id;
}

/** What the caller may act for of the logins of a person that wait for a code, by every name that codes know them by. */
async function waitingFor(
  { storage, master_keys, public_url }: Directory,
  { account, audience, ident_type, ident, own, mayActFor, now }: CodeNaming,
  kind: PresentedCode["kind"],
): Promise<readonly LoginKey[]> {
  if (ident_type === undefined || ident === undefined) return [];
  const { account_id, settings } = account;
  const identifier = await readIdentifier(ident_type, ident, settings.country);
  const about = { account_id, audience: canonicalAudience(account, public_url, audience) };
  const types = new Set([...(own ? [own.settings.user_type] : []), ...user_types]);
  const waiting: LoginKey[] = [];
  for (const type of types) {
    const found = await findPerson(storage.read, master_keys, account_id, type, identifier);
    const named = [found.id];
    if (ident_type !== "user_id") named.push(formerPerson(master_keys, account_id, type, identifier, found));
    for (const person of named) {
      const key = { ...about, person, first: kind, own: own?.id };
      const clients = await selectClientsOfPerson(storage.read, key, instant(now));
      const those = [...new Set(clients)].filter(mayActFor);
      waiting.push(...those.map((client_id) => ({ ...about, person, client_id })));
      if (waiting.length > 0 && kind !== "numeric") return waiting;
    }
  }
  return waiting;
}

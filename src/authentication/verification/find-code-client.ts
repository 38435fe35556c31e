import type { Client, UserType } from "../../directory/clients/client.ts";
import { user_types } from "../../directory/clients/settings.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { type Identifier, readIdentifier } from "../../directory/users/identifier.ts";
import { sameBytes } from "../../secrets/digest.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { codeDigest, normaliseCode, type PresentedCode } from "../codes/code.ts";
import { isShut } from "./guess-window.ts";
import type { Naming } from "./name-person.ts";
import { selectGuessWindow } from "./people-store.ts";
import { findPerson, formerPerson } from "./person.ts";
import { type PersonsCode, selectClientOfDigest, selectCodesOfPerson, selectLoginSession } from "./store.ts";
import { REMEMBERED } from "./verification.ts";

export interface CodeNaming extends Omit<Naming, "client"> {
  /** The caller's own client; none where it lives in another account. */
  readonly own: Client | undefined;
  readonly verification_code: Secret;
  /** Whether the caller may act for the client of this uuid. */
  readonly mayActFor: (client_id: string) => boolean;
  /** Whether a right code of this client, for this type of user, is redeemed here: only there is a wrong one counted. */
  readonly isRedeemedFor: (client_id: string, type: UserType) => Promise<boolean>;
}

/**
 * The client that a presented code was made for: a strong code is found by itself, any other, and a mistyped one,
 * belongs to the login session that is named beside it, else it is looked for among the live codes of the person it was
 * sent to, where digits say whose they are, and else the caller's own client comes first.
 *
 * @returns undefined when nothing names a client.
 * @throws 400 invalid_request, as naming a person does.
 */
export async function lookUpCodeClient(directory: Directory, asked: CodeNaming): Promise<string | undefined> {
  // By which name an audience is asked for does not matter: codes are bound to one.
  const naming = { ...asked, audience: canonicalAudience(asked.account, directory.public_url, asked.audience) };
  const presented = normaliseCode(naming.verification_code);
  return (
    (await ofDigest(directory, naming, presented)) ??
    (await ofSession(directory, naming)) ??
    (await ofPerson(directory, naming, presented))
  );
}

async function ofDigest(
  { storage, master_keys }: Directory,
  { account: { account_id }, audience }: CodeNaming,
  { kind, code }: PresentedCode,
): Promise<string | undefined> {
  if (kind !== "typable" && kind !== "link") return undefined;
  const binding = { account_id, client_id: "", audience, person: "" };
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
 * they are, and so do those that were right a moment ago; no further type is looked at then. Any others are a guess where
 * guesses are counted, as long as they were compared with such a code: neither at those that are dead by guesses, nor at those
 * of whom digits are closed for. With what would not be redeemed nothing is compared.
 */
async function ofPerson(
  directory: Directory,
  naming: CodeNaming,
  presented: PresentedCode,
): Promise<string | undefined> {
  const { account, ident_type, ident, own, now } = naming;
  if (ident_type === undefined || ident === undefined) return undefined;
  const identifier = await readIdentifier(ident_type, ident, account.settings.country, "ident");
  const is_numeric = presented.kind === "numeric";
  const found: WaitingCode[] = [];
  for (const type of new Set([...(own ? [own.settings.user_type] : []), ...user_types])) {
    const codes = await codesOf(directory, naming, type, identifier, presented.kind);
    const theirs = is_numeric ? codes.find(isOf(directory, naming, presented.code)) : codes.find(isWaiting);
    if (theirs) return theirs.client_id;
    found.push(...codes);
  }
  if (!is_numeric) return undefined;
  const guessed = [...found.filter(isAlive), ...found.filter(wasAlive)];
  for (const person of new Set(guessed.map(({ whose }) => whose))) {
    const window = await selectGuessWindow(directory.storage.read, account.account_id, person);
    if (!isShut(window, account.settings.numeric_guess_limit, instant(now)))
      return guessed.find(({ whose }) => whose === person)?.client_id;
  }
  return (guessed[0] ?? found.find(isWaiting) ?? found.find(({ spent_at }) => spent_at === null))?.client_id;
}

interface WaitingCode extends PersonsCode {
  /** Whom guesses at it are counted against. */
  readonly whose: string;
  readonly is_redeemed: boolean;
}

const isWaiting = ({ is_redeemed, spent_at }: WaitingCode) => is_redeemed && spent_at === null;

const isAlive = (code: WaitingCode) => isWaiting(code) && code.format === "numeric" && code.guesses < code.guess_limit;

const wasAlive = ({ is_redeemed, format, spent_at }: WaitingCode) =>
  is_redeemed && format === "numeric" && spent_at !== null;

/** What has not expired of an identifier's codes, by every name that codes know its person by, where the caller may act for the client. */
async function codesOf(
  { storage, master_keys }: Directory,
  { account: { account_id }, audience, own, mayActFor, isRedeemedFor, now }: CodeNaming,
  type: UserType,
  identifier: Identifier,
  first: PresentedCode["kind"],
): Promise<readonly WaitingCode[]> {
  const found = await findPerson(storage.read, master_keys, account_id, type, identifier);
  const persons = [found.id];
  if (identifier.type !== "user_id") persons.push(formerPerson(master_keys, account_id, type, identifier, found));
  const about = { account_id, audience, persons };
  const codes = await selectCodesOfPerson(storage.read, { ...about, first, own: own?.id }, instant(now));
  const theirs = codes.filter(({ client_id }) => mayActFor(client_id));
  const redeemed = new Map<string, boolean>();
  for (const { client_id } of theirs) {
    if (!redeemed.has(client_id)) redeemed.set(client_id, await isRedeemedFor(client_id, type));
  }
  return theirs.map((code) => ({ ...code, whose: found.id, is_redeemed: redeemed.get(code.client_id) === true }));
}

/** Whether a code is these digits, and would be redeemed. */
function isOf({ master_keys }: Directory, { account: { account_id }, audience }: CodeNaming, digits: Secret) {
  return ({ client_id, person, typed_digest, is_redeemed }: WaitingCode): boolean => {
    if (!is_redeemed) return false;
    const binding = { account_id, client_id, audience, person };
    const digests = master_keys.versions.map((version) => codeDigest(master_keys, version, binding, "numeric", digits));
    return typed_digest !== null && digests.some((digest) => sameBytes(digest, typed_digest));
  };
}

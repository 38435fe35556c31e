/** Codes, and the login sessions of browsers and apps that wait for one. People are in `people-store.ts`. */
import type { ExpressionBuilder } from "kysely";
import { smallUuid } from "../../secrets/uuid.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { columns, type LoginSessions, type Tables, type VerificationCodes } from "../../storage/tables.ts";
import type { CodeFormat } from "../codes/code.ts";

export type CodeRow = {
  readonly [K in keyof VerificationCodes]: VerificationCodes[K] extends number ? number : Plain<VerificationCodes[K]>;
};
export type LoginSessionRow = Readonly<LoginSessions>;
type Plain<T> = T extends { readonly __select__: infer S } ? S : T;

/** A session that ends after an instant; it ends with its code. A uuid may come in capitals, as its client chose it or not. */
export async function selectLoginSession(
  db: Database,
  account_id: string,
  id: string,
  after: Instant,
): Promise<LoginSessionRow | undefined> {
  const session = await selectSession(db, account_id, id, after);
  const small = smallUuid(id);
  return session ?? (small === id ? undefined : selectSession(db, account_id, small, after));
}

async function selectSession(
  db: Database,
  account_id: string,
  id: string,
  after: Instant,
): Promise<LoginSessionRow | undefined> {
  return db
    .selectFrom("login_sessions")
    .select(columns.login_sessions)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .where("expires_at", ">", after)
    .executeTakeFirst();
}

/** A session's id is free again when it has expired. @returns false when another live session has it. */
export async function insertLoginSession(db: Database, session: LoginSessionRow): Promise<boolean> {
  const { account_id: _account, id: _id, ...fields } = session;
  const inserted = await db
    .insertInto("login_sessions")
    .values(session)
    .onConflict((conflict) =>
      conflict
        .columns(["account_id", "id"])
        .doUpdateSet(fields)
        .where("login_sessions.expires_at", "<=", session.created_at),
    )
    .returning("id")
    .execute();
  return inserted.length === 1;
}

/** Another code takes the place of the one that a session began with. */
export async function updateAwaited(
  db: Database,
  { account_id, id, code_id, expires_at }: Pick<LoginSessionRow, "account_id" | "id" | "code_id" | "expires_at">,
): Promise<void> {
  await db
    .updateTable("login_sessions")
    .set({ code_id, expires_at })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}

export interface LoginKey {
  readonly account_id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly audience: string;
  readonly person: string;
}

type Codes = ExpressionBuilder<Tables, "verification_codes">;

const isOfLogin =
  ({ account_id, client_id, audience, person }: LoginKey) =>
  (eb: Codes) =>
    eb.and({ account_id, client_id, audience, person });

/** Unspent and unexpired; wrong guesses may have killed it all the same. */
const isLive = (now: Instant) => (eb: Codes) => eb.and([eb("spent_at", "is", null), eb("expires_at", ">", now)]);

/** Newest first. */
export async function selectLiveCodes(db: Database, login: LoginKey, now: Instant): Promise<readonly CodeRow[]> {
  return db
    .selectFrom("verification_codes")
    .select(columns.verification_codes)
    .where(isOfLogin(login))
    .where(isLive(now))
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .execute();
}

export async function selectCode(db: Database, account_id: string, id: string): Promise<CodeRow | undefined> {
  return db
    .selectFrom("verification_codes")
    .select(columns.verification_codes)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .executeTakeFirst();
}

export async function insertCode(db: Database, row: CodeRow): Promise<void> {
  await db.insertInto("verification_codes").values(row).execute();
}

export interface Sending {
  readonly connections: string;
  readonly email: string | null;
  readonly phone_number: string | null;
  readonly last_sent_at: Instant;
}

export async function updateSent(db: Database, account_id: string, id: string, sending: Sending): Promise<void> {
  await db
    .updateTable("verification_codes")
    .set(sending)
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}

export async function updateCodeUser(db: Database, account_id: string, id: string, user_id: string): Promise<void> {
  await db
    .updateTable("verification_codes")
    .set({ user_id })
    .where("account_id", "=", account_id)
    .where("id", "=", id)
    .execute();
}

/** Spends the live codes of a login, once whoever is redeeming one of them is done. */
export async function updateLiveSpent(db: Database, login: LoginKey, now: Instant): Promise<void> {
  await db
    .updateTable("verification_codes")
    .set({ spent_at: now })
    .where(isOfLogin(login))
    .where(isLive(now))
    .execute();
}

/** Whether a code of a login was redeemed at an instant or later. */
export async function selectRedeemedSince(db: Database, login: LoginKey, since: Instant): Promise<boolean> {
  const redeemed = await db
    .selectFrom("verification_codes")
    .select("id")
    .where(isOfLogin(login))
    .where("expires_at", ">", since)
    .where("spent_at", ">=", since)
    .where("redeemed_by", "is not", null)
    .executeTakeFirst();
  return redeemed !== undefined;
}

/** Codes that were sent before an address or number was left are worth nothing: they went there, or could be sent there again. */
export async function updateMisled(
  db: Database,
  { account_id, person }: Pick<LoginKey, "account_id" | "person">,
  now: Instant,
): Promise<void> {
  await db
    .updateTable("verification_codes")
    .set({ spent_at: now })
    .where("account_id", "=", account_id)
    .where("person", "=", person)
    .where("connections", "is not", null)
    .where(isLive(now))
    .execute();
}

/** Live codes that were minted for one user and client, soonest to expire first. */
export async function selectMinted(db: Database, account_id: string, client_id: string, user_id: string, now: Instant) {
  return db
    .selectFrom("verification_codes")
    .select(["id", "expires_at"])
    .where("account_id", "=", account_id)
    .where("client_id", "=", client_id)
    .where("person", "=", user_id)
    .where("connections", "is", null)
    .where("created_by", "is not", null)
    .where(isLive(now))
    .orderBy("expires_at")
    .execute();
}

/** The client of the newest code with one of these digests. */
export async function selectClientOfDigest(
  db: Database,
  account_id: string,
  column: "typed_digest" | "link_digest",
  digests: readonly Uint8Array[],
): Promise<string | undefined> {
  const row = await db
    .selectFrom("verification_codes")
    .select("client_id")
    .where("account_id", "=", account_id)
    .where(
      column,
      "in",
      digests.map((digest) => Buffer.from(digest)),
    )
    .orderBy("created_at", "desc")
    .executeTakeFirst();
  return row?.client_id;
}

export interface PersonsCodes extends Pick<LoginKey, "account_id" | "audience"> {
  /** The names that codes know the person by. */
  readonly persons: readonly string[];
  /** Codes of this format before all others. */
  readonly first: string;
  /** A client that comes before others with such a code. */
  readonly own: string | undefined;
}

export type PersonsCode = Pick<
  CodeRow,
  "client_id" | "person" | "format" | "typed_digest" | "guesses" | "guess_limit" | "spent_at"
>;

/** A person's codes that have not expired, of every client and format: unspent before spent, newest first. */
export async function selectCodesOfPerson(
  db: Database,
  { account_id, audience, persons, first, own }: PersonsCodes,
  now: Instant,
): Promise<readonly PersonsCode[]> {
  return db
    .selectFrom("verification_codes")
    .select(["client_id", "person", "format", "typed_digest", "guesses", "guess_limit", "spent_at"])
    .where("account_id", "=", account_id)
    .where("person", "in", persons)
    .where("audience", "=", audience)
    .where("expires_at", ">", now)
    .orderBy((eb) => eb.case().when("spent_at", "is", null).then(0).else(1).end())
    .orderBy((eb) =>
      eb
        .case()
        .when("format", "=", first as CodeFormat)
        .then(0)
        .else(1)
        .end(),
    )
    .orderBy((eb) =>
      eb
        .case()
        .when("client_id", "=", own ?? "")
        .then(0)
        .else(1)
        .end(),
    )
    .orderBy("created_at", "desc")
    .limit(50)
    .execute();
}

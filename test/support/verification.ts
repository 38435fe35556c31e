/** Rows that a redemption needs, written straight into the tables: a client with a grant, a user, and codes of any kind. */
import { auditEvent } from "../../src/audit/audit.ts";
import { type CodeFormat, codeDigest, newChallenge } from "../../src/authentication/codes/code.ts";
import { windowEnds } from "../../src/authentication/verification/guess-window.ts";
import { type RedeemInput, redeemStatement } from "../../src/authentication/verification/redeem-statement.ts";
import { hex } from "../../src/secrets/digest.ts";
import { type MasterKeys, masterKeys } from "../../src/secrets/master-keys.ts";
import { type Secret, secret } from "../../src/secrets/secret.ts";
import { uuidv7 } from "../../src/secrets/uuid.ts";
import { instant, type Storage } from "../../src/storage/storage.ts";

export const test_keys: MasterKeys = masterKeys([Buffer.alloc(32, 1)]);
export const account_id = "T00000001";
export const audience = "https://api.example.com";

export interface Login {
  readonly account_id: string;
  readonly client_id: string;
  readonly grant_id: string;
  readonly user_id: string;
  readonly audience: string;
}

export async function insertLogin(storage: Storage, fields: Partial<Login> = {}): Promise<Login> {
  const now = storage.now();
  const created_at = instant(now);
  const login = {
    account_id,
    client_id: uuidv7(now),
    grant_id: uuidv7(now),
    user_id: uuidv7(now),
    audience,
    ...fields,
  };
  const { client_id, grant_id, user_id } = login;
  const stamps = { account_id: login.account_id, created_at, updated_at: created_at };
  await storage.write(async (tx) => {
    await tx.db
      .insertInto("clients")
      .values({ ...stamps, id: client_id, client_id, settings: "{}" })
      .execute();
    const grant = { id: grant_id, client_id, audience: login.audience, scope: "[]", type: "authorization_code" };
    await tx.db
      .insertInto("grants")
      .values({ ...stamps, ...grant })
      .execute();
    const email = `${user_id}@example.com`;
    const user = { id: user_id, type: "customer", email, email_canonical: email, email_verified_at: created_at };
    const existing = await tx.db.selectFrom("users").select("id").where("id", "=", user_id).executeTakeFirst();
    if (existing) return;
    await tx.db
      .insertInto("users")
      .values({ ...stamps, ...user, profile: "{}", scope: "[]" })
      .execute();
  });
  return login;
}

export interface CodeFields {
  readonly format: CodeFormat;
  readonly length: number;
  readonly person: string;
  readonly user_id: string | null;
  readonly connections: string | null;
  readonly signup: number;
  readonly email: string | null;
  readonly phone_number: string | null;
  /** Milliseconds since the epoch. */
  readonly created_at: number;
  readonly lifetime: number;
}

export interface IssuedCode {
  readonly id: string;
  readonly code: Secret;
}

export async function insertCode(
  storage: Storage,
  login: Login,
  fields: Partial<CodeFields> = {},
): Promise<IssuedCode> {
  const { client_id, user_id } = login;
  const all = {
    format: "typable" as CodeFormat,
    length: fields.format === "numeric" ? 6 : fields.format === "link" ? 43 : 10,
    person: user_id,
    user_id: user_id as string | null,
    connections: "email" as string | null,
    signup: 0,
    email: null as string | null,
    phone_number: null as string | null,
    created_at: storage.now(),
    lifetime: 600_000,
    ...fields,
  };
  const { format, length } = all;
  const { challenge, code } = newChallenge(test_keys, { account_id: login.account_id, format, length });
  const id = uuidv7(all.created_at);
  const binding = { account_id: login.account_id, client_id, audience: login.audience, person: all.person };
  const digest = codeDigest(test_keys, test_keys.current, binding, all.format, code);
  await storage.write((tx) =>
    tx.db
      .insertInto("verification_codes")
      .values({
        ...challenge,
        id,
        client_id,
        audience: login.audience,
        person: all.person,
        user_id: all.user_id,
        connections: all.connections,
        typed_digest: all.format === "link" ? null : digest,
        link_digest: all.format === "link" ? digest : null,
        signup: all.signup,
        email: all.email,
        phone_number: all.phone_number,
        guess_limit: 5,
        created_at: instant(all.created_at),
        expires_at: instant(all.created_at + all.lifetime),
      })
      .execute(),
  );
  return { id, code };
}

export function redeemInput(
  storage: Storage,
  login: Login,
  kind: "typable" | "numeric" | "link",
  code: Secret | string,
  fields: Partial<RedeemInput> & { readonly at?: number } = {},
): RedeemInput {
  const { at = storage.now(), ...rest } = fields;
  const now = instant(at);
  const person = kind === "numeric" ? login.user_id : null;
  const presented = typeof code === "string" ? secret(code) : code;
  const binding = { ...login, person: rest.person ?? person ?? "" };
  return {
    kind,
    account_id: login.account_id,
    client_id: login.client_id,
    audience: login.audience,
    grant_id: login.grant_id,
    person,
    former: "",
    digests: test_keys.versions.map((version) => hex(codeDigest(test_keys, version, binding, kind, presented))),
    length: kind === "numeric" ? 6 : 10,
    connection: null,
    attempt: uuidv7(at),
    signup: false,
    now,
    remembered: instant(at - 86_400_000),
    guess_limit: 10,
    window_ends: windowEnds(at),
    event: auditEvent({
      account_id: login.account_id,
      created_at: now,
      action: "verification_code.redeemed",
      outcome: "success",
      entity: null,
      actor: login.client_id,
      context: { request_id: "r" },
    }),
    ...rest,
  };
}

export function redeem(storage: Storage, input: RedeemInput) {
  return storage.hot(redeemStatement(input), input);
}

export async function selectCode(storage: Storage, id: string) {
  return storage.read.selectFrom("verification_codes").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
}

export function wrongGuesses(right: string, count: number): string[] {
  const guesses = [];
  for (let n = 0; guesses.length < count; n++) {
    const guess = String((n * 7_919 + 13) % 1_000_000).padStart(6, "0");
    if (guess !== right) guesses.push(guess);
  }
  return guesses;
}

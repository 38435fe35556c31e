/** People who can do more than read a code: with passwords, second factors, tokens of their own, and scopes. */
import { createHmac } from "node:crypto";
import { hashSync } from "@node-rs/argon2";
import { setChannels } from "../../src/authentication/mfa/change-factors.ts";
import { hashPassword, storePassword } from "../../src/authentication/passwords/password.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { createUser } from "../../src/directory/users/create-user.ts";
import { secret } from "../../src/secrets/secret.ts";
import {
  actor,
  addClient,
  addGrant,
  addUser,
  authorize,
  call,
  type Latchkey,
  mintCode,
  type Reply,
  receiveCode,
  type Tenant,
  type TestClient,
} from "./latchkey.ts";

export const PASSWORD = "correct horse battery";

/** Of `PASSWORD`, at costs that nobody waits for. */
export const QUICK_HASH = hashSync(PASSWORD, { memoryCost: 8, timeCost: 1, parallelism: 1 });

const hashes = new Map<string, string>();

/** As a server hashes it, which takes a while: once for everybody who has the same. */
async function hashOnce(account_id: string, text: string): Promise<string> {
  const hash = hashes.get(text) ?? (await hashPassword(account_id, secret(text)));
  hashes.set(text, hash);
  return hash;
}

/** `known`: the password's hash. */
export async function setPassword(
  latchkey: Latchkey,
  account_id: string,
  user_id: string,
  text = PASSWORD,
  known?: string,
) {
  const { storage } = latchkey.server.core;
  const hash = known ?? (await hashOnce(account_id, text));
  await storage.write((tx) => storePassword(tx, account_id, user_id, { kind: "password", hash }, storage.now()));
}

export async function setFactors(
  latchkey: Latchkey,
  account_id: string,
  user_id: string,
  channels: { readonly sms?: string; readonly email?: string },
) {
  const { storage } = latchkey.server.core;
  await storage.write((tx) => setChannels(tx, { account_id, user_id }, channels, storage.now()));
}

/** A customer with a password and, where wanted, second factors. `hash`: the password's, where it is known. */
export async function addPerson(
  latchkey: Latchkey,
  account_id: string,
  { factors = [] as readonly ("sms" | "email")[], password = PASSWORD, hash = undefined as string | undefined } = {},
) {
  const user = await addUser(latchkey, account_id);
  await setPassword(latchkey, account_id, user.id, password, hash);
  const channels = {
    ...(factors.includes("sms") ? { sms: user.phone_number } : {}),
    ...(factors.includes("email") ? { email: user.email } : {}),
  };
  if (factors.length > 0) await setFactors(latchkey, account_id, user.id, channels);
  return user;
}

/** POST auth/token as the tenant's client. */
export function token(tenant: Tenant, json: object, bearer = tenant.token): Promise<Reply> {
  return call(`${tenant.base}/auth/token`, { method: "POST", token: bearer, json });
}

/** The tenant's user logs in with a minted code. */
export async function personToken(tenant: Tenant, audience = tenant.issuer): Promise<string> {
  const reply = await authorize(tenant, {
    verification_code: await mintCode(tenant, { audience }),
    audience,
    response_type: "token",
  });
  const hash = new URL(reply.headers.get("location") ?? "https://x/#").hash.slice(1);
  const access_token = new URLSearchParams(hash).get("access_token");
  if (!access_token) throw new Error(`no token: ${reply.status} ${reply.text}`);
  return access_token;
}

export interface AccountUserLogin {
  readonly id: string;
  readonly email: string;
  readonly client: TestClient;
  readonly token: string;
}

/** An account user with these scopes, logged in by mail through a first-party client. */
export async function logInAccountUser(
  latchkey: Latchkey,
  tenant: Tenant,
  { scope = [] as readonly string[], first_party = true, role_ids = [] as readonly string[], email = "" } = {},
): Promise<AccountUserLogin> {
  const added = await addAccountUser(latchkey, tenant, { scope, first_party, role_ids, email });
  return { ...added, token: (await logInByMail(tenant, added.client, added.email)).body.access_token };
}

/** … without logging them in. */
export async function addAccountUser(
  latchkey: Latchkey,
  tenant: Tenant,
  { scope = [] as readonly string[], first_party = true, role_ids = [] as readonly string[], email = "" } = {},
): Promise<Omit<AccountUserLogin, "token">> {
  const { directory } = latchkey.server.core;
  const account = await findAccount(directory, tenant.account_id);
  const address = email || `staff-${Math.random().toString(36).slice(2)}@example.com`;
  const input = { type: "account_user" as const, email: address, verified: true, scope, role_ids };
  const { id } = await createUser(directory, account, input, actor);
  const client = await addClient(latchkey, tenant.account_id, { first_party, user_type: "account_user" });
  const all = ["openid", "profile", "email", "admin:accounts", "admin:customers"];
  await addGrant(latchkey, tenant.account_id, client, tenant.issuer, all, "authorization_code");
  return { id, email: address, client };
}

/** A code by mail for a token, or what is asked for next. */
export async function logInByMail(tenant: Tenant, client: TestClient, email: string): Promise<Reply> {
  const verification_code = await receiveCode(tenant, { client, email, audience: tenant.issuer });
  const about = { grant_type: "authorization_code", ident_type: "email", ident: email, audience: tenant.issuer };
  return token(tenant, { ...about, verification_code });
}

const ALPHABET = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567";

/** What an authenticator app shows (RFC 6238), `steps` of 30 seconds from now. */
export function oneTimePassword(secret: string, steps = 0): string {
  const bits = [...secret].map((symbol) => ALPHABET.indexOf(symbol).toString(2).padStart(5, "0")).join("");
  const key = Buffer.from((bits.match(/.{8}/g) ?? []).map((byte) => Number.parseInt(byte, 2)));
  const counter = Buffer.alloc(8);
  counter.writeUInt32BE(Math.floor(Date.now() / 30_000) + steps, 4);
  const mac = createHmac("sha1", key).update(counter).digest();
  const code = mac.readUInt32BE((mac.at(-1) ?? 0) & 15) & 0x7fffffff;
  return String(code % 1_000_000).padStart(6, "0");
}

/** A person has agreed that a client sees their address. */
export async function consent(
  latchkey: Latchkey,
  account_id: string,
  user_id: string,
  client_id: string,
): Promise<void> {
  const { storage } = latchkey.server.core;
  const granted_at = new Date(storage.now()).toISOString();
  const row = { account_id, user_id, client_id, audience: "", scope: JSON.stringify(["openid", "email"]), granted_at };
  await storage.write(async ({ db }) => void (await db.insertInto("consents").values(row).execute()));
}

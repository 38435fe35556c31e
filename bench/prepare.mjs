/**
 * What a measurement needs in the database before it begins: tenants, made as commands make them, and as many people as
 * there will be requests, each with a code of their own that is ready to be redeemed. Codes are derived as the product
 * derives them; their rows are written in bulk, past the server.
 */
import { execFileSync } from "node:child_process";
import { sql } from "kysely";
import { codeDigest, newChallenge } from "../dist/authentication/codes/code.js";
import { beginSession } from "../dist/authentication/sessions/begin-session.js";
import { newBrowser } from "../dist/authentication/sessions/session.js";
import { unknownPerson } from "../dist/authentication/verification/person.js";
import { sqlitePath } from "../dist/config.js";
import { createAccount } from "../dist/directory/accounts/create-account.js";
import { lookUpAccount } from "../dist/directory/accounts/find-account.js";
import { createClient } from "../dist/directory/clients/create-client.js";
import { createGrant } from "../dist/directory/grants/change-grants.js";
import { createUser } from "../dist/directory/users/create-user.js";
import { reveal } from "../dist/secrets/secret.js";
import { uuidv7 } from "../dist/secrets/uuid.js";
import { openSqliteFile } from "../dist/storage/sqlite/connection.js";

export const ACCOUNT = "T00000009";
export const AUDIENCE = "https://api.shop.example";
export const CALLBACK = "https://shop.example/callback";
const actor = { id: "bench", context: {} };
const ROWS_A_STATEMENT = 2_000;

const client_settings = {
  callbacks: [CALLBACK],
  response_types: ["authenticate", "token", "code"],
  grant_types: ["authorization_code", "client_credentials", "refresh_token"],
  refresh_without_offline_access: true,
  first_party: true,
};

/** An account with one client that may log people in, and administer the account. */
export async function prepareTenant({ directory }, account_id = ACCOUNT, settings = {}) {
  await createAccount(
    directory,
    { account_id, name: "Bench", settings: { client_sends_per_minute: 100_000, ...settings } },
    actor,
  );
  const input = { client_id: "bench", settings: client_settings };
  const { client, client_secret } = await createClient(directory, account_id, input, actor);
  const issuer = `${directory.public_url}/v1/accounts/${account_id}`;
  const grant = (audience, scope) => createGrant(directory, { client, audience, scope, type: "any" }, actor);
  const { id: grant_id } = await grant(AUDIENCE, ["orders:read"]);
  await grant(issuer, ["admin:accounts", "admin:customers"]);
  return { account_id, client, client_id: client.client_id, client_secret: reveal(client_secret), issuer, grant_id };
}

/** One more client of the tenant's account. */
export async function prepareClient({ directory }, { account_id }, client_id) {
  const input = { client_id, settings: client_settings };
  return (await createClient(directory, account_id, input, actor)).client;
}

/** Somebody who is logged in in a browser. @returns its cookie. */
export async function prepareSession({ core: { directory, storage } }) {
  const account = await lookUpAccount(directory, ACCOUNT);
  const input = { type: "customer", email: `${uuidv7(storage.now())}@example.com`, verified: true };
  const { id } = await createUser(directory, account, input, actor);
  const now = storage.now();
  const subject = { user_id: id, authenticated_at: now, amr: ["otp"] };
  const { cookie, digest } = newBrowser();
  await storage.write((tx) => beginSession(tx, account, subject, { now: digest }, now));
  return { cookie: `lk_${ACCOUNT}=${reveal(cookie)}` };
}

/** A code for each of so many new people, of these tenants in turn. */
export async function prepareCodes(server, count, tenants = [server.tenant]) {
  const made = Array.from({ length: count }, (_, n) => drawLogin(server, tenants[n % tenants.length].client));
  await keepLogins(server, made);
  return made.map(({ code }) => code);
}

/**
 * Somebody new and a code of theirs, neither of them in the database yet. `known: false`: an address that nobody has,
 * with the code that somebody asked for in its name. `lifetime`: milliseconds that the code still has, or is past its
 * end.
 */
export function drawLogin({ core: { directory, storage } }, client, shape = {}) {
  return codeRow(
    directory,
    client,
    { ...{ format: "typable", length: 10, lifetime: 600_000, known: true }, ...shape },
    storage.now(),
  );
}

export async function keepLogins(server, made) {
  const rowsOf = (name) => made.map((login) => login[name]).filter((row) => row !== undefined);
  for (const [table, name] of [
    ["users", "user"],
    ["verification_codes", "row"],
  ])
    if (rowsOf(name).length > 0) await insertRows(server, table, rowsOf(name));
}

/** So many new people with a verified address. @returns their rows. */
export async function preparePeople(server, count, account_id = ACCOUNT) {
  const users = Array.from({ length: count }, () => userRow(account_id, server.core.storage.now()));
  await insertRows(server, "users", users);
  return users;
}

/** Many rows at once, by a connection of their own; the server's own log of changes is folded into the file again. */
async function insertRows({ config: { database_url }, core: { storage } }, table, rows) {
  const names = Object.keys(rows[0]);
  if (storage.engine === "postgres") {
    for (let from = 0; from < rows.length; from += ROWS_A_STATEMENT) {
      const columns = sql.join(names.map((name) => sql.ref(name)));
      const json = JSON.stringify(rows.slice(from, from + ROWS_A_STATEMENT), (_, value) =>
        value?.type === "Buffer" ? `\\x${Buffer.from(value.data).toString("hex")}` : value,
      );
      const values = sql`select ${columns} from json_populate_recordset(null::${sql.table(table)}, ${json})`;
      await sql`insert into ${sql.table(table)} (${columns}) ${values}`.execute(storage.read);
    }
    // What autovacuum does within a minute on its own.
    await sql`analyze ${sql.table(table)}`.execute(storage.read);
    return;
  }
  const file = openSqliteFile(sqlitePath(database_url));
  const places = names.map(() => "?").join(", ");
  file.exec("pragma busy_timeout = 10000; pragma synchronous = off; begin immediate");
  for (const row of rows)
    file.run(`insert into ${table} (${names.join(", ")}) values (${places})`, ...Object.values(row));
  file.exec("commit");
  file.all("pragma wal_checkpoint(passive)");
  file.close();
  // Whoever is measured next does not wait for the disk to take this in.
  bringToDisk(sqlitePath(database_url));
}

/**
 * By a process of its own: whoever closes a file that SQLite has open in the same process gives up SQLite's locks on it
 * (POSIX), and the server beside it may then take itself for the last one and remove the log.
 */
export function bringToDisk(path) {
  execFileSync("sync", [path]);
}

function codeRow({ master_keys }, { account_id, id: client_id }, { format, length, lifetime, known }, now) {
  const user = userRow(account_id, now);
  const { email } = user;
  const person = known ? user.id : unknownPerson(master_keys, account_id, "customer", { type: "email", value: email });
  const { challenge, code } = newChallenge(master_keys, { account_id, format, length });
  const binding = { account_id, client_id, audience: AUDIENCE, person };
  const row = {
    ...challenge,
    id: uuidv7(now),
    client_id,
    audience: AUDIENCE,
    person,
    user_id: known ? user.id : null,
    typed_digest: Buffer.from(codeDigest(master_keys, master_keys.current, binding, format, code)),
    guess_limit: 5,
    created_at: user.created_at,
    created_by: "bench",
    expires_at: new Date(now + lifetime).toISOString(),
  };
  return { row, user: known ? user : undefined, email, code: reveal(code) };
}

function userRow(account_id, now) {
  const at = new Date(now).toISOString();
  const id = uuidv7(now);
  const email = `${id}@example.com`;
  const verified = { email, email_canonical: email, email_verified_at: at };
  return { account_id, id, type: "customer", ...verified, profile: "{}", scope: "[]", created_at: at, updated_at: at };
}

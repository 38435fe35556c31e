/**
 * Fills a database for one measurement: a tenant, and as many people as there will be requests, each with a code of their
 * own that is ready to be redeemed. Rows are written in bulk through the same derivation as the product's.
 */
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { beginSession } from "../dist/authentication/sessions/sessions.js";
import { codeDigest, firstCode } from "../dist/authentication/verification/code.js";
import { createAccount } from "../dist/directory/accounts/create-account.js";
import { lookUpAccount } from "../dist/directory/accounts/find-account.js";
import { createClient } from "../dist/directory/clients/create-client.js";
import { lookUpClient } from "../dist/directory/clients/find-client.js";
import { createGrant } from "../dist/directory/grants/change-grants.js";
import { createUser } from "../dist/directory/users/create-user.js";
import { reveal } from "../dist/secrets/secret.js";
import { uuidv7 } from "../dist/secrets/uuid.js";
import { openCore } from "../dist/server.js";

export const ACCOUNT = "T00000009";
export const AUDIENCE = "https://api.shop.example";
export const CALLBACK = "https://shop.example/callback";
const actor = { id: "bench", context: {} };
const BATCH = 200;

/** @returns the client's credentials, the first time. */
export async function prepareTenant(config) {
  const core = await openCore(config, { exclusive: false });
  const { directory } = core;
  try {
    await createAccount(directory, { account_id: ACCOUNT, name: "Bench" }, actor);
    const settings = { callbacks: [CALLBACK], response_types: ["authenticate", "token", "code"], first_party: true };
    const { client, client_secret } = await createClient(directory, ACCOUNT, { client_id: "bench", settings }, actor);
    await createGrant(directory, { client, audience: AUDIENCE, scope: ["orders:read"], type: "any" }, actor);
    const issuer = `${directory.public_url}/v1/accounts/${ACCOUNT}`;
    await createGrant(
      directory,
      { client, audience: issuer, scope: ["admin:accounts", "admin:customers"], type: "any" },
      actor,
    );
    return { client_id: client.client_id, client_secret: reveal(client_secret), issuer };
  } finally {
    await core.close();
  }
}

/** Somebody who is logged in in a browser. @returns its cookie. */
export async function prepareSession(config) {
  const core = await openCore(config, { exclusive: false });
  try {
    const { directory, storage } = core;
    const account = await lookUpAccount(directory, ACCOUNT);
    const input = { type: "customer", email: `${uuidv7(storage.now())}@example.com`, verified: true };
    const { id } = await createUser(directory, account, input, actor);
    const subject = { user_id: id, authenticated_at: storage.now(), amr: ["otp"] };
    const { browser } = await beginSession(directory, account, subject, undefined);
    return { cookie: `lk_${ACCOUNT}=${reveal(browser)}` };
  } finally {
    await core.close();
  }
}

export async function prepareCodes(config, count) {
  const core = await openCore(config, { exclusive: false });
  const { directory, storage } = core;
  try {
    await lookUpAccount(directory, ACCOUNT);
    const client = await lookUpClient(directory, ACCOUNT, "bench");
    const codes = [];
    while (codes.length < count) {
      const rows = Array.from({ length: Math.min(BATCH, count - codes.length) }, () =>
        codeRow(directory, client, storage.now()),
      );
      await storage.write(async ({ db }) => {
        await db
          .insertInto("users")
          .values(rows.map(({ user }) => user))
          .execute();
        await db
          .insertInto("verification_codes")
          .values(rows.map(({ row }) => row))
          .execute();
      });
      codes.push(...rows.map(({ code }) => code));
    }
    // What autovacuum does within a minute on its own.
    if (storage.engine === "postgres") await sql`analyze`.execute(storage.read);
    return codes;
  } finally {
    await core.close();
  }
}

function codeRow({ master_keys }, client, now) {
  const at = new Date(now).toISOString();
  const user_id = uuidv7(now);
  const email = `${user_id}@example.com`;
  const begun = {
    account_id: ACCOUNT,
    challenge_id: randomBytes(16),
    key_version: master_keys.current,
    format: "typable",
    length: 10,
  };
  const { counter, code } = firstCode(master_keys, { ...begun, counter: 0 });
  const binding = { account_id: ACCOUNT, client_id: client.id, audience: AUDIENCE, person: user_id };
  const row = {
    ...begun,
    id: uuidv7(now),
    client_id: client.id,
    audience: AUDIENCE,
    person: user_id,
    user_id,
    connections: null,
    counter,
    typed_digest: Buffer.from(codeDigest(master_keys, master_keys.current, binding, "typable", code)),
    link_digest: null,
    guess_limit: 5,
    created_at: at,
    created_by: "bench",
    expires_at: new Date(now + 600_000).toISOString(),
  };
  const stamps = { account_id: ACCOUNT, created_at: at, updated_at: at };
  const user = {
    ...stamps,
    id: user_id,
    type: "customer",
    email,
    email_canonical: email,
    email_verified_at: at,
    profile: "{}",
    scope: "[]",
  };
  return { row, user, code: reveal(code) };
}

/** Rows that nobody asks for, as many as wanted, written by the database itself. */
export async function fill(config, { codes, users, accounts }) {
  const core = await openCore(config, { exclusive: false });
  const { storage } = core;
  try {
    const numbers = (count) =>
      storage.engine === "sqlite"
        ? sql`(with recursive n(i) as (select 1 union all select i + 1 from n where i < ${sql.lit(count)}) select i from n) n`
        : sql`generate_series(1, ${sql.lit(count)}) n(i)`;
    const bytes = (length) =>
      storage.engine === "sqlite"
        ? sql`randomblob(${sql.lit(length)})`
        : sql`decode(substr(md5(random()::text) || md5(random()::text), 1, ${sql.lit(length * 2)}), 'hex')`;
    const id = storage.engine === "sqlite" ? sql`lower(hex(randomblob(16)))` : sql`md5(random()::text)`;
    const at = new Date(storage.now()).toISOString();
    const end = new Date(storage.now() + 3_600_000).toISOString();
    const run = (query) => storage.write(({ db }) => query.execute(db));
    const step = 200_000;
    for (let done = 0; done < accounts; done += step)
      await run(sql`insert into accounts (account_id, name, settings, created_at, updated_at)
        select 'P' || cast(${sql.lit(20_000_000 + done)} + i as text), 'Filler', '{}', ${at}, ${at}
        from ${numbers(Math.min(step, accounts - done))}`);
    for (let done = 0; done < users; done += step)
      await run(sql`insert into users (account_id, id, type, email, email_canonical, email_verified_at, profile, scope, created_at, updated_at)
        select ${ACCOUNT}, id, 'customer', id, id, ${at}, '{}', '[]', ${at}, ${at}
        from (select ${id} as id from ${numbers(Math.min(step, users - done))}) filler`);
    for (let done = 0; done < codes; done += step)
      await run(sql`insert into verification_codes (account_id, id, client_id, audience, person, user_id, format, length, challenge_id,
          counter, key_version, typed_digest, guess_limit, created_at, expires_at)
        select ${ACCOUNT}, ${id}, 'filler', ${AUDIENCE}, ${id}, null, 'typable', 10, ${bytes(16)}, 0, 'filler', ${bytes(32)}, 5, ${at}, ${end}
        from ${numbers(Math.min(step, codes - done))}`);
    if (storage.engine === "postgres") await sql`analyze`.execute(storage.read);
  } finally {
    await core.close();
  }
}

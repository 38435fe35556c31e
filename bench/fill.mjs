/**
 * Rows that nobody asks for, as many as wanted, written by the database itself before its server starts: in the order
 * of their keys, into a table without its indexes, which are built afterwards.
 */
import pg from "pg";
import { sqlitePath } from "../dist/config.js";
import { openSqliteFile } from "../dist/storage/sqlite/connection.js";
import { AUDIENCE, bringToDisk } from "./prepare.mjs";

const STEP = 500_000;

/** The live tenants share the codes and the people; `accounts` are beside them. */
export async function fill({ database_url }, tenants, { codes, users, accounts }) {
  const database = database_url.startsWith("sqlite:") ? onSqlite(database_url) : await onPostgres(database_url);
  const { dialect } = database;
  const now = Date.now();
  const [at, end] = [now, now + 86_400_000].map((time) => `'${new Date(time).toISOString()}'`);
  const share = (count, tenant) => Math.floor(count / tenants.length) + (tenant < count % tenants.length ? 1 : 0);
  try {
    await database.into("accounts", async () => {
      for (const [from, to] of steps(accounts))
        await database.run(`insert into accounts (account_id, name, settings, created_at, updated_at)
          select 'P' || cast(20000000 + i as text), 'Filler', '{}', ${at}, ${at} from ${dialect.numbers(from, to)}`);
    });
    await database.into("users", async () => {
      for (const [index, { account_id }] of tenants.entries())
        for (const [from, to] of steps(share(users, index)))
          await database.run(`insert into users (account_id, id, type, email, email_canonical, email_verified_at, profile, scope,
              created_at, updated_at)
            select '${account_id}', ${dialect.key}, 'customer', ${dialect.key}, ${dialect.key}, ${at}, '{}', '[]', ${at}, ${at}
            from ${dialect.numbers(from, to)}`);
    });
    await database.into("verification_codes", async () => {
      for (const [index, { account_id, client }] of tenants.entries())
        for (const [from, to] of steps(share(codes, index)))
          await database.run(`insert into verification_codes (account_id, id, client_id, audience, person, format, length, challenge_id,
              counter, key_version, typed_digest, guess_limit, created_at, expires_at)
            select '${account_id}', ${dialect.key}, '${client.id}', '${AUDIENCE}', ${dialect.text}, 'typable', 10,
              ${dialect.bytes(16)}, 0, 'filler', ${dialect.bytes(32)}, 5, ${at}, ${end}
            from ${dialect.numbers(from, to)}`);
    });
    await database.settle();
  } finally {
    await database.close();
  }
}

const steps = (count) =>
  Array.from({ length: Math.ceil(count / STEP) }, (_, n) => [n * STEP + 1, Math.min(count, (n + 1) * STEP)]);

function onSqlite(database_url) {
  const file = openSqliteFile(sqlitePath(database_url));
  file.exec("pragma busy_timeout = 10000; pragma synchronous = off; pragma cache_size = -256000");
  const run = (text) => {
    file.exec(text);
    file.all("pragma wal_checkpoint(truncate)");
  };
  return {
    run,
    async into(table, work) {
      const indexes = file.all(
        "select name, sql from sqlite_master where type = 'index' and tbl_name = ? and sql > ''",
        table,
      );
      for (const { name } of indexes) file.exec(`drop index ${name}`);
      await work();
      for (const { sql } of indexes) run(sql);
    },
    // What the system has not written yet, gigabytes of it, would be written while the server starts.
    settle: async () => bringToDisk(sqlitePath(database_url)),
    async close() {
      file.close();
    },
    dialect: {
      numbers: (from, to) =>
        `(with recursive n(i) as (select ${from} union all select i + 1 from n where i < ${to}) select i from n) n`,
      key: "printf('00000000-0000-7000-8000-%012x', i)",
      text: "lower(hex(randomblob(16)))",
      bytes: (length) => `randomblob(${length})`,
    },
  };
}

async function onPostgres(connectionString) {
  const client = new pg.Client({ connectionString });
  await client.connect();
  await client.query("set synchronous_commit = off; set maintenance_work_mem = '512MB'");
  return {
    run: (text) => client.query(text),
    async into(table, work) {
      const { rows } = await client.query(
        `select indexrelid::regclass::text as name, pg_get_indexdef(indexrelid) as text from pg_index
         where indrelid = $1::regclass and not indisprimary`,
        [table],
      );
      for (const { name } of rows) await client.query(`drop index ${name}`);
      await work();
      for (const { text } of rows) await client.query(text);
    },
    /** What its own upkeep would do soon, in the middle of a measurement. */
    async settle() {
      await client.query("vacuum (analyze)");
      await client.query("checkpoint").catch(() => {});
    },
    close: () => client.end(),
    dialect: {
      numbers: (from, to) => `generate_series(${from}, ${to}) n(i)`,
      key: "'00000000-0000-7000-8000-' || lpad(to_hex(i), 12, '0')",
      text: "md5(random()::text)",
      bytes: (length) => `decode(substr(md5(random()::text) || md5(random()::text), 1, ${length * 2}), 'hex')`,
    },
  };
}

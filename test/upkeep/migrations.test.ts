/** Migrations of a database that others use meanwhile, or that a build from between two releases has migrated. */
import pg from "pg";
import { describe, expect, it } from "vitest";
import { isSqlite, sqlitePath } from "../../src/config.ts";
import { migrate, migrationNames } from "../../src/storage/migrate.ts";
import { openStorage } from "../../src/storage/open.ts";
import { openSqliteFile } from "../../src/storage/sqlite/connection.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { admin, isolate } from "../support/global-setup.ts";
import { until } from "../support/smtp.ts";

/** Takes back a table and columns, which no database gets twice. */
const ADDED_BACK = `
  drop index clients_untried;
  alter table clients drop column untried_since;
  drop index budgets_unclosed;
  drop table person_endings;
  alter table users drop column logins_ended_but;
  drop index sessions_unended;
  drop index roles_named;
  drop index session_endings_person;
  drop index outbox_inboxes;
  drop index refresh_families_begun;
  drop index sessions_begun;
  create index refresh_families_user on refresh_families (account_id, user_id);
  alter table refresh_families drop column provider;
  alter table refresh_families drop column surface;
  drop index refresh_families_held;
  drop index sessions_person;
  create index sessions_user on sessions (account_id, user_id);
  drop index usernames_canonical;
  alter table usernames drop column username_canonical;
  alter table clients drop column set_by_account;
  alter table refresh_families drop column session_id;
  drop index grants_changed;
  drop table session_endings;
  drop index sessions_previous;
  alter table sessions drop column previous_digest;`;

/** Takes back what came after 0012. */
const BACK = `${ADDED_BACK}
  drop index if exists revocations_pages;
  drop index if exists signing_keys_unretired;
  drop index if exists signing_keys_expiry;
  drop index if exists budgets_ended;
  drop index if exists budgets_remembered;
  drop index if exists outbox_failed;
  create index revocations_revoked on revocations (revoked_at);
  create index budgets_window on budgets (window_ends_at);
  delete from migrations where name > '0013';`;

/** 0013 as it was before it was taken apart. */
const ALL_AT_ONCE = `
  create index revocations_pages on revocations (revoked_at, account_id, subject);
  drop index revocations_revoked;
  create index signing_keys_unretired on signing_keys (active_at) where retired_at is null;
  create index signing_keys_expiry on signing_keys (expires_at) where expires_at is not null;
  create index budgets_ended on budgets (window_ends_at) where failures = 0 and level = 0;
  create index budgets_remembered on budgets (window_ends_at) where failures > 0 or level > 0;
  drop index budgets_window;
  insert into migrations (name, applied_at) values ('0013_what_is_rare', '2026-11-29T00:00:00.000Z');`;

const FAILED = {
  sqlite: "create index outbox_failed on outbox (state, finished_at) where state = 'failed';",
  postgres: "create index outbox_failed on outbox (finished_at) where state = 'failed';",
};

async function run(database_url: string, sql: string): Promise<void> {
  if (!isSqlite(database_url)) return admin(database_url, sql);
  const file = openSqliteFile(sqlitePath(database_url));
  file.exec(sql);
  file.close();
}

async function indexesOf(database_url: string): Promise<readonly unknown[]> {
  if (isSqlite(database_url)) {
    const file = openSqliteFile(sqlitePath(database_url));
    const found = file.all("select name, sql from sqlite_schema where type = 'index' order by name");
    file.close();
    return found;
  }
  const client = new pg.Client(database_url);
  await client.connect();
  const { rows } = await client.query("select indexdef from pg_indexes where schemaname = 'public' order by indexname");
  await client.end();
  return rows;
}

describeOnBothEngines("a database of a build from before", (engine) => {
  it.each([
    ["0013 was taken apart", `${BACK}${ALL_AT_ONCE}${FAILED[engine]}`, "0014"],
    ["0013", BACK, "0013"],
  ])("%s gets the indexes of a new one", async (_what, sql, from) => {
    const { database_url, drop } = await createTestDatabase(engine);
    const fresh = await indexesOf(database_url);
    await run(database_url, sql);
    expect(await migrate(database_url)).toEqual(migrationNames().filter((name) => name >= from));
    expect(await indexesOf(database_url)).toEqual(fresh);
    await drop();
  });

  it("keeps what was agreed to at clients that are there, and nothing of those that are gone", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const [kept, gone] = ["client", "gone"].map(
      (id) => `('T1', 'user', '${id}', '', '[]', '2026-01-01T00:00:00.000Z')`,
    );
    await run(
      database_url,
      `insert into clients (account_id, id, client_id, settings, created_at, created_by, updated_at)
        values ('T1', 'client', 'shop', '{}', '', '', '');
      insert into consents (account_id, user_id, client_id, audience, scope, granted_at) values ${kept}, ${gone};
      drop index consents_client;
      ${ADDED_BACK}
      delete from migrations where name > '0018';`,
    );
    await migrate(database_url);
    const { read, close } = await openStorage({ database_url });
    expect(await read.selectFrom("consents").select("client_id").execute()).toEqual([{ client_id: "client" }]);
    await close();
    await drop();
  });
});

describeOnBothEngines("strangers' clients of a build from before", (engine) => {
  it("give way since they came, where nobody agrees to them and the account has to do with none", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const [came, gone] = ["'2026-01-01T00:00:00.000Z'", "'2026-01-02T00:00:00.000Z'"];
    const client = (id: string, origin: string, by: string, [deleted, set] = ["null", "null"]) =>
      `('T1', '${id}', '${id}', '{}', '${origin}', ${came}, '${by}', '', ${deleted}, ${set})`;
    const clients = [
      client("document", "metadata", "somebody"),
      client("registered", "dynamic", "open-registration"),
      client("allowed", "dynamic", "somebody"),
      client("own", "account", "open-registration"),
      client("gone", "metadata", "somebody", [gone, "null"]),
      client("set", "metadata", "somebody", ["null", `'["name"]'`]),
      client("agreed", "metadata", "somebody"),
      client("granted", "dynamic", "open-registration"),
    ];
    await run(
      database_url,
      `drop index clients_untried;
      alter table clients drop column untried_since;
      insert into clients
        (account_id, id, client_id, settings, origin, created_at, created_by, updated_at, deleted_at, set_by_account)
        values ${clients.join(", ")};
      insert into consents (account_id, user_id, client_id, audience, scope, granted_at)
        values ('T1', 'user', 'agreed', '', '[]', ${came}), ('T2', 'user', 'document', '', '[]', ${came});
      insert into grants (account_id, id, client_id, audience, scope, type, created_at, updated_at)
        values ('T1', 'grant', 'granted', '', '[]', 'any', ${came}, '');
      delete from migrations where name = '0044_clients_untried';`,
    );
    expect(await migrate(database_url)).toEqual(["0044_clients_untried"]);
    const { read, close } = await openStorage({ database_url });
    const waiting = read.selectFrom("clients").select(["id", "untried_since"]).where("untried_since", "is not", null);
    expect(await waiting.orderBy("id").execute()).toEqual(
      ["document", "registered"].map((id) => ({ id, untried_since: "2026-01-01T00:00:00.000Z" })),
    );
    await close();
    await drop();
  });
});

describeOnBothEngines("strangers' clients of builds that took the mark of those somebody agreed to", (engine) => {
  it("wait since they came or were used, and no client that the account let in does", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const [came, later] = ["'2026-01-01T00:00:00.000Z'", "'2026-01-02T00:00:00.000Z'"];
    const client = (id: string, origin: string, by: string, deleted = "null", since = "null") =>
      `('T1', '${id}', '${id}', '{}', '${origin}', ${came}, '${by}', '', ${deleted}, ${since})`;
    const clients = [
      client("document", "metadata", "somebody"),
      client("registered", "dynamic", "open-registration"),
      client("waiting", "dynamic", "open-registration", "null", later),
      client("allowed", "dynamic", "somebody"),
      client("own", "account", "open-registration"),
      client("gone", "metadata", "somebody", later),
      client("used", "metadata", "somebody"),
    ];
    await run(
      database_url,
      `insert into clients
        (account_id, id, client_id, settings, origin, created_at, created_by, updated_at, deleted_at, untried_since)
        values ${clients.join(", ")};
      insert into client_registrations (account_id, client_id, used_at, expires_at) values ('T1', 'used', ${later}, '');
      delete from migrations where name = '0045_clients_tried';`,
    );
    expect(await migrate(database_url)).toEqual(["0045_clients_tried"]);
    const { read, close } = await openStorage({ database_url });
    const waiting = read.selectFrom("clients").select(["id", "untried_since"]).where("untried_since", "is not", null);
    expect((await waiting.orderBy("id").execute()).map(({ id, untried_since }) => [id, `'${untried_since}'`])).toEqual([
      ["document", came],
      ["registered", came],
      ["used", later],
      ["waiting", later],
    ]);
    await close();
    await drop();
  });
});

describeOnBothEngines("user names of a build from before", (engine) => {
  it("are found in any case, but for those that differ in case alone", async () => {
    const { database_url, drop } = await createTestDatabase(engine);
    const names = ["Anna", "anna", "Bob", "carl", "\u00c5se", "Eva", "eva"];
    const person = (account: string, id: string) =>
      `('${account}', '${id}', 'customer', '{}', '[]', '', '', '', ${id === "user-5" ? "'now'" : "null"})`;
    const people = [
      ...names.map((_, n) => person("T1", `user-${n}`)),
      person("T1", "x"),
      person("T1", "y"),
      person("T2", "user-0"),
    ];
    const rows = names.map(
      (name, n) => `('T1', 'id-${n}', '${name}', 'user-${n}', '[]', '', '', ${name === "anna" ? "'now'" : "null"})`,
    );
    await run(
      database_url,
      `${ADDED_BACK}
      insert into users (account_id, id, type, profile, scope, created_at, created_by, updated_at, deleted_at)
        values ${people.join(", ")};
      insert into usernames (account_id, id, username, user_id, links, created_at, updated_at, deleted_at)
        values ${rows.join(", ")}, ('T1', 'x', 'Dora', 'x', '[]', '', '', null), ('T1', 'y', 'DORA', 'y', '[]', '', '', null),
          ('T2', 'id-0', 'bob', 'user-0', '[]', '', '', null);
      delete from migrations where name > '0018';`,
    );
    await migrate(database_url);
    const { read, close } = await openStorage({ database_url });
    const found = await read.selectFrom("usernames").select(["username", "username_canonical"]).execute();
    expect(new Map(found.map((row) => [row.username, row.username_canonical]))).toEqual(
      new Map([
        ["Anna", "anna"],
        ["anna", null],
        ["Bob", "bob"],
        ["carl", "carl"],
        ["\u00c5se", "\u00c5se"],
        ["Eva", null],
        ["eva", "eva"],
        ["Dora", null],
        ["DORA", null],
        ["bob", "bob"],
      ]),
    );
    await close();
    await drop();
  });
});

describe("a table of SQLite", () => {
  /** A semicolon in a comment inside them has kept these from it, and databases are as they were made. */
  const WITH_ROWID = [
    ...[
      "budgets",
      "device_codes",
      "factors",
      "login_sessions",
      "outbox",
      "person_endings",
      "session_endings",
      "sessions",
    ],
    ...["signing_keys", "verification_codes"],
  ];

  it("is strict and kept in its key", async () => {
    const { database_url, drop } = await createTestDatabase("sqlite");
    const file = openSqliteFile(sqlitePath(database_url));
    const tables = file.all("select name, wr, strict from pragma_table_list where schema = 'main' and type = 'table'");
    file.close();
    await drop();
    const loose = tables.filter(({ wr, strict }) => Number(wr) === 0 || Number(strict) === 0).map(({ name }) => name);
    const own = loose.filter((name) => name !== "migrations" && !String(name).startsWith("sqlite_"));
    expect(own.toSorted()).toEqual(WITH_ROWID);
  });
});

describe("a migration that waits for a table", () => {
  it("has the time that it needs, whatever a role or database grants its statements", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await run(database_url, BACK);
    const writer = new pg.Client(database_url);
    await writer.connect();
    await writer.query("begin; lock table migrations in exclusive mode");
    const hasty = new URL(database_url);
    hasty.searchParams.set("options", "-c statement_timeout=100 -c lock_timeout=100");
    const migrating = migrate(hasty.href);
    const waits = async () => {
      const { rows } = await writer.query(
        "select 1 from pg_locks where not granted and relation = 'migrations'::regclass",
      );
      return rows.length > 0 || undefined;
    };
    await until("the migration to wait", waits);
    await writer.query("select pg_sleep(0.5); commit");
    expect(await migrating).toEqual(migrationNames().filter((name) => name > "0013"));
    await writer.end();
    await drop();
  });

  it("sees what another process applied meanwhile, however a role or database isolates transactions", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    const newest = migrationNames().at(-1);
    await isolate(database_url, "repeatable read");
    const other = new pg.Client(database_url);
    await other.connect();
    await other.query("delete from migrations where name = $1", [newest]);
    await other.query("begin isolation level read committed; lock table migrations in exclusive mode");
    await other.query("insert into migrations (name, applied_at) values ($1, '')", [newest]);
    const migrating = migrate(database_url);
    const waits = "select 1 from pg_locks where not granted and relation = 'migrations'::regclass";
    await until("the migration to wait", async () => (await other.query(waits)).rowCount !== 0 || undefined);
    await other.query("commit");
    expect(await migrating).toEqual([]);
    await other.end();
    await drop();
  });

  it("fails with a sentence where its connection ends meanwhile", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await run(database_url, BACK);
    const writer = new pg.Client(database_url);
    await writer.connect();
    await writer.query("begin; lock table signing_keys in row exclusive mode");
    const end = "select pg_terminate_backend(pid) from pg_stat_activity where pid <> pg_backend_pid()";
    // Between two of its statements, when nobody asks anything.
    const migrating = migrate(database_url, () => void writer.query(`${end} and datname = current_database()`));
    await expect(migrating).rejects.toThrow("connection");
    await writer.end();
    await drop();
  });

  it.each([
    ["signing_keys", "row exclusive"],
    ["budgets", "row exclusive"],
    ["budgets", "access share"],
    ["outbox", "row exclusive"],
    ["sessions", "access share"],
  ])("has no table that those who run need (%s, held in %s mode)", async (table, mode) => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await run(database_url, BACK);
    const [writer, running] = [new pg.Client(database_url), new pg.Client(database_url)];
    await Promise.all([writer.connect(), running.connect()]);
    await writer.query(`begin; lock table ${table} in ${mode} mode`);
    const migrating = migrate(database_url);
    const held = await until("the migration to wait", async () => {
      const { rows } = await running.query(
        `select array(select relation::regclass::text from pg_locks where pid = waits.pid and granted
            and mode in ('ShareLock', 'AccessExclusiveLock') and relation is not null) as tables
          from pg_locks as waits where not granted and relation = '${table}'::regclass`,
      );
      return rows[0]?.tables as string[] | undefined;
    });
    await writer.query("commit");
    await migrating;
    expect(held).toEqual([]);
    await Promise.all([writer.end(), running.end()]);
    await drop();
  });
});

import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { describe, expect, it } from "vitest";
import { createTestDatabase } from "../../../test/support/engines.ts";
import { admin, isolate } from "../../../test/support/global-setup.ts";
import { openWire } from "../../../test/support/wire.ts";
import { insertOnce } from "../insert-once.ts";
import type { HotStatement } from "../storage.ts";
import { openPostgres } from "./open-postgres.ts";

const unavailable = { code: "temporarily_unavailable" };

describe("a connection that breaks", () => {
  it("in the middle of a transaction: that transaction fails, the process lives, the next one works", async () => {
    const database = await createTestDatabase("postgres");
    const storage = await openPostgres({ url: database.database_url, strict: true });
    const cut = storage.write(async (tx) => {
      const { rows } = await sql<{ pid: number }>`select pg_backend_pid() as pid`.execute(tx.db);
      await admin(database.database_url, `select pg_terminate_backend(${rows[0]?.pid})`);
      await new Promise((resolve) => setTimeout(resolve, 200));
      await tx.db.selectFrom("accounts").selectAll().execute();
    });
    await expect(cut).rejects.toMatchObject(unavailable);
    expect(await storage.read.selectFrom("accounts").selectAll().execute()).toEqual([]);
    await storage.close();
    await database.drop();
  });

  it("without a word: whoever waited on it is told within the deadline, and nobody gets it again", {
    timeout: 60_000,
  }, async () => {
    const database = await createTestDatabase("postgres");
    const wire = await openWire(Number(new URL(database.database_url).port));
    const url = database.database_url.replace(/127\.0\.0\.1:\d+/, `127.0.0.1:${wire.port}`);
    const storage = await openPostgres({ url, strict: true });
    const look = () => storage.read.selectFrom("accounts").selectAll().execute();
    const change = () => storage.write((tx) => tx.db.deleteFrom("accounts").execute());
    await look();
    wire.forget();
    await expect(look()).rejects.toMatchObject(unavailable);
    expect(await look()).toEqual([]);
    wire.forget();
    await expect(change()).rejects.toMatchObject(unavailable);
    await change();
    await storage.close();
    await wire.close();
    await database.drop();
  });
});

describe("a database to which no connection comes about", () => {
  it("is one that is not there, whatever it or the network says", async () => {
    const database = await createTestDatabase("postgres");
    const name = new URL(database.database_url).pathname.slice(1);
    const elsewhere = database.database_url.replace(`/${name}`, "/postgres");
    const storage = await openPostgres({ url: database.database_url, strict: true });
    const statement = insertOnce<{ account_id: string; id: string; expires_at: string }>({
      name: "unreached_test",
      source: import.meta.url,
      table: "used_tokens",
      columns: { account_id: "text", id: "text", expires_at: "text" },
    });
    const used = { account_id: "T1", id: "a", expires_at: "2026-01-01T00:00:00.000Z" };
    const asked = () => [
      storage.read.selectFrom("accounts").selectAll().execute(),
      storage.write((tx) => tx.db.deleteFrom("accounts").execute()),
      storage.hot(statement, used),
      storage.ping(),
    ];
    await Promise.all(asked());
    // As for a restore: 3D000 says so, as 28P01 does of a password that is changed at both ends one after the other.
    await admin(elsewhere, `alter database ${name} with allow_connections false`);
    await admin(elsewhere, `select pg_terminate_backend(pid) from pg_stat_activity where datname = '${name}'`);
    await admin(elsewhere, `alter database ${name} rename to ${name}_away`);
    const codes = (await Promise.allSettled(asked())).map((one) => one.status === "rejected" && one.reason.code);
    expect(codes).toEqual(Array(4).fill("temporarily_unavailable"));
    await admin(elsewhere, `alter database ${name}_away rename to ${name}`);
    await admin(elsewhere, `alter database ${name} with allow_connections true`);
    await Promise.all(asked());
    await storage.close();
    await database.drop();
  });

  it("is one that is not there where it ended a transaction that stood still", async () => {
    const database = await createTestDatabase("postgres");
    const storage = await openPostgres({ url: database.database_url, strict: true });
    const still = storage.write(async (tx) => {
      await sql`set local idle_in_transaction_session_timeout = 50`.execute(tx.db);
      // As a process that is paused: it hears of it when it has asked again.
      Atomics.wait(new Int32Array(new SharedArrayBuffer(4)), 0, 0, 300);
      await tx.db.selectFrom("accounts").selectAll().execute();
    });
    await expect(still).rejects.toMatchObject(unavailable);
    await storage.close();
    await database.drop();
  });
});

describe("a database that was handed over", () => {
  it("takes reads alone, says so as one that is not there, and takes writes again once it may", async () => {
    const database = await createTestDatabase("postgres");
    const name = new URL(database.database_url).pathname.slice(1);
    const readOnly = (value: string) =>
      admin(database.database_url, `alter database ${name} set default_transaction_read_only = ${value}`);
    await readOnly("on");
    const storage = await openPostgres({ url: database.database_url, strict: true });
    const change = () => storage.write((tx) => tx.db.deleteFrom("accounts").execute());
    await expect(change()).rejects.toMatchObject(unavailable);
    await admin(database.database_url.replace(`/${name}`, "/postgres"), `alter database ${name} reset all`);
    await change();
    await storage.close();
    await database.drop();
  });
});

describe("a ping", () => {
  it("is no answer of a server that may only be read, and asks the one that took over", async () => {
    const database = await createTestDatabase("postgres");
    const name = new URL(database.database_url).pathname.slice(1);
    const elsewhere = database.database_url.replace(`/${name}`, "/postgres");
    await admin(elsewhere, `alter database ${name} set default_transaction_read_only = on`);
    const storage = await openPostgres({ url: database.database_url, strict: true });
    await storage.read.selectFrom("accounts").selectAll().execute();
    await expect(storage.ping()).rejects.toMatchObject(unavailable);
    // Whoever is connected goes on as they began: a connection is either kind for as long as it lasts.
    await admin(elsewhere, `alter database ${name} reset all`);
    await storage.ping();
    await storage.close();
    await database.drop();
  });
});

describe("a value that is too long for an index", () => {
  it("is its sender's fault, and nobody else's who travels with it", async () => {
    const database = await createTestDatabase("postgres");
    const storage = await openPostgres({ url: database.database_url, strict: true });
    const statement = insertOnce<{ account_id: string; id: string; expires_at: string }>({
      name: "long_test",
      source: import.meta.url,
      table: "used_tokens",
      columns: { account_id: "text", id: "text", expires_at: "text" },
    });
    const insert = (id: string) =>
      storage.hot(statement, { account_id: "T1", id, expires_at: "2026-01-01T00:00:00.000Z" });
    const long = randomBytes(6_000).toString("base64");
    const all = await Promise.allSettled(["a", "b", "c", long, "d"].map(insert));
    expect(all.map((one) => (one.status === "fulfilled" ? one.value : one.reason.code))).toEqual([
      true,
      true,
      true,
      "invalid_request",
      true,
    ]);
    await storage.close();
    await database.drop();
  });
});

describe("a statement that comes often", () => {
  it("is known to the connection, and answers the same before and after", async () => {
    const database = await createTestDatabase("postgres");
    const storage = await openPostgres({ url: database.database_url, strict: true });
    const { answers, known } = await storage.write(async ({ db }) => {
      const look = () => db.selectFrom("accounts").select("name").where("account_id", "=", "T1").execute();
      const answers = [];
      for (let time = 0; time < 20; time++) answers.push(await look());
      const { rows } = await sql<{ text: string }>`
        select statement as text from pg_prepared_statements where name like ${"q\\_%"}`.execute(db);
      return { answers, known: rows.map(({ text }) => text) };
    });
    expect(answers).toEqual(Array(20).fill([]));
    expect(known).toEqual(['select "name" from "accounts" where "account_id" = $1']);
    await storage.close();
    await database.drop();
  });
});

describe("a row that somebody holds for long", () => {
  it("keeps those waiting who need it, and nobody else", async () => {
    const database = await createTestDatabase("postgres");
    const storage = await openPostgres({ url: database.database_url, strict: false });
    const statement: HotStatement<string, string> = {
      name: "test_held",
      key: (input) => input,
      mode: { kind: "spending" },
      sqlite: (_, input) => input,
      postgres: {
        text: `select i.key from unnest($1::text[]) with ordinality as i(key, n)
          join test_rows r on r.id = split_part(i.key, ' ', 1) order by i.n for update of r`,
        parameters: (inputs) => [inputs],
        answers: (rows) => rows.map(({ key }) => String(key)),
      },
    };
    await storage.write(async ({ db }) => {
      await sql`create table test_rows (id text primary key)`.execute(db);
      await sql`insert into test_rows (id) values ('a'), ('b')`.execute(db);
    });
    const waiting: Promise<string>[] = [];
    await storage.write(async ({ db }) => {
      await sql`select id from test_rows where id = 'a' for update`.execute(db);
      for (let n = 0; n < 6; n++) {
        waiting.push(storage.hot(statement, `a ${n}`));
        await new Promise((resolve) => setTimeout(resolve, 20));
      }
      expect(await storage.hot(statement, "b 0")).toBe("b 0");
      const other = storage.write((tx) => sql`update test_rows set id = 'a' where id = 'a'`.execute(tx.db));
      await new Promise((resolve) => setTimeout(resolve, 500));
      waiting.push(other.then(() => "a transaction waits as before"));
    });
    const answers = Array.from({ length: 6 }, (_, n) => `a ${n}`);
    expect(await Promise.all(waiting)).toEqual([...answers, "a transaction waits as before"]);
    await storage.close();
    await database.drop();
  });

  it("is waited for by whoever reads, where it is a table", async () => {
    const database = await createTestDatabase("postgres");
    const storage = await openPostgres({ url: database.database_url, strict: false });
    let read: Promise<unknown> | undefined;
    await storage.write(async ({ db }) => {
      await sql`lock table accounts in access exclusive mode`.execute(db);
      read = storage.read.selectFrom("accounts").selectAll().execute();
      await new Promise((resolve) => setTimeout(resolve, 600));
    });
    expect(await read).toEqual([]);
    await storage.close();
    await database.drop();
  });
});

describe("a database whose transactions are isolated from each other", () => {
  it.each(["repeatable read", "serializable"])(
    "by their default (%s) does not isolate ours more than they need",
    async (level) => {
      const { database_url, drop } = await createTestDatabase("postgres");
      await isolate(database_url, level);
      const storage = await openPostgres({ url: database_url, strict: false });
      await storage.write(async ({ db }) => {
        await sql`create table test_rows (id text primary key, n bigint not null)`.execute(db);
        await sql`insert into test_rows values ('a', 0)`.execute(db);
      });
      const look = sql<{ n: number }>`select n from test_rows`;
      const count = sql`update test_rows set n = n + 1`;
      const seen = await storage.write(async ({ db }) => {
        await look.execute(db);
        await storage.write((other) => count.execute(other.db));
        await count.execute(db);
        return (await look.execute(db)).rows;
      });
      expect(seen).toEqual([{ n: 2 }]);
      await storage.close();
      await drop();
    },
  );
});

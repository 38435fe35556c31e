/**
 * How PostgreSQL finds the rows of hot statements but codes: each by its whole key, whatever is believed of its table. Asked for the plan
 * that a connection keeps, of tables without statistics, and of those where one account stands beside very many small ones.
 */
import { readdirSync, readFileSync } from "node:fs";
import { fileURLToPath } from "node:url";
import { sql } from "kysely";
import pg from "pg";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { selectLed } from "../../src/authentication/sessions/endings-store.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { LED_LIMIT } from "../../src/oauth/browser/answer-statement.ts";
import { makeRoom } from "../../src/oauth/browser/make-room.ts";
import { selectLiveFamily, updateGrace } from "../../src/oauth/refresh/store.ts";
import type { HotStatement } from "../../src/storage/storage.ts";
import { openTestStorage, type TestStorage } from "../support/engines.ts";

const SRC = fileURLToPath(new URL("../../src/", import.meta.url));

/** What one index leads to are several rows on purpose: by its name, and the columns that they have in common. */
const SEVERAL: Readonly<Record<string, string>> = {
  // Counted, or read, up to a limit.
  session_authorizations_pkey: "account_id session_id",
};

/** Codes are looked for and spent as the planner likes: by whole keys a login costs the database a third more (decision 0027). */
const AS_PLANNED = /^redeem_(code|link|numeric_code)$/;

const isHot = (value: unknown): value is HotStatement<never, unknown> =>
  typeof (value as HotStatement<never, unknown> | null)?.postgres?.text === "string";

/** Of all modules that say they have some. */
async function hotStatements(): Promise<readonly HotStatement<never, unknown>[]> {
  const files = readdirSync(SRC, { recursive: true, encoding: "utf8" }).filter(
    (file) =>
      file.endsWith(".ts") &&
      !file.endsWith(".test.ts") &&
      readFileSync(SRC + file, "utf8").includes("hotSource(import"),
  );
  const found = await Promise.all(
    files.map(async (file) => {
      const exported = Object.values((await import(SRC + file)) as Record<string, object>);
      const own = exported.flatMap((value) => (isHot(value) ? [value] : Object.values(value).filter(isHot)));
      expect(own, file).not.toEqual([]);
      return own;
    }),
  );
  return found.flat().filter(({ name }) => !AS_PLANNED.test(name));
}

/** The text of what asks for families by their keys, or takes a refresh token, and is no hot statement. */
async function asksOfFamilies({ storage }: TestStorage, seen: readonly string[]): Promise<readonly string[]> {
  const now = "2026-01-01T00:00:00.000Z";
  const session = { account_id: "A", session_id: "s" };
  await storage.write(
    async ({ db }) =>
      void (await sql`insert into session_authorizations (account_id, session_id, sid, client_id, created_at, expires_at)
        select 'A', 's', 'f' || g, 'c', ${now}, ${now} from generate_series(1, ${sql.lit(LED_LIMIT)}) g`.execute(db)),
  );
  const asking = { ...session, client_id: "c" };
  await storage.write((tx) => makeRoom(tx, {} as Directory["revocations"], asking, Date.parse(now)));
  await storage.write(async ({ db }) => void (await db.deleteFrom("session_authorizations").execute()));
  await selectLed(storage.read, { ...session, user_id: "u", client_id: "", sid: "" }, 5);
  const named = { account_id: "A", id: "f", client_id: "c", secret_id: "", dpop_jkt: null, generation: 1 };
  await selectLiveFamily(storage.read, "A", "f", now);
  await storage.write((tx) => updateGrace(tx.db, { ...named, now, since: now }));
  return seen.filter((text) => /^(select|with)\b.*\brefresh_families\b/s.test(text));
}

interface Node {
  readonly "Node Type": string;
  readonly "Relation Name"?: string;
  readonly "Index Name"?: string;
  readonly "Index Cond"?: string;
  readonly Plans?: readonly Node[];
}

const nodesOf = (node: Node): readonly Node[] => [node, ...(node.Plans ?? []).flatMap(nodesOf)];

interface Index {
  readonly name: string;
  readonly of: string;
  readonly columns: readonly string[];
  readonly key: boolean;
}

/** What a step of a plan reads that is more than one row; undefined where that is so on purpose, or it reads no table. */
function broad({ "Index Name": by, "Index Cond": condition = "", ...node }: Node, indexes: readonly Index[]) {
  const type = node["Node Type"];
  if (!/^(Seq|Sample|Tid|Index|Index Only|Bitmap Index) (Range )?Scan$/.test(type)) return undefined;
  const index = indexes.find(({ name }) => name === by);
  const bound = new Set([...condition.matchAll(/\((\w+) [<>=]/g)].map(([, column]) => String(column)));
  const to = index?.columns.findIndex((column) => !bound.has(column)) ?? 0;
  const together = index?.columns.slice(0, to === -1 ? undefined : to) ?? [];
  const keys = indexes.filter(({ of, key }) => key && of === index?.of);
  if (keys.some(({ columns }) => columns.every((column) => together.includes(column)))) return undefined;
  if (index && SEVERAL[index.name] === together.join(" ")) return undefined;
  return `${type} ${node["Relation Name"] ?? ""} ${by ?? ""} ${condition}`;
}

const INDEXES = `select i.relname as name, t.relname as of, x.indisunique and x.indpred is null as key,
    array_agg(a.attname::text order by a.attnum) as columns
  from pg_index x join pg_class i on i.oid = x.indexrelid join pg_class t on t.oid = x.indrelid
    join pg_attribute a on a.attrelid = i.oid
  where t.relnamespace = 'public'::regnamespace
  group by i.relname, t.relname, x.indisunique, x.indpred`;

/** Of one account, and of others, each with one row. */
const [OF_ONE, OTHERS] = [2_000, 3_000];

/** Rows in all tables that these statements ask, in which no two are alike. */
async function fill(client: pg.Client, texts: readonly string[]): Promise<void> {
  const { rows: checks } = await client.query<{ of: string; name: string }>(
    `select conrelid::regclass::text as of, conname as name from pg_constraint
     where contype = 'c' and connamespace = 'public'::regnamespace`,
  );
  for (const { of, name } of checks) await client.query(`alter table ${of} drop constraint ${name}`);
  const { rows } = await client.query<{ of: string; name: string; type: string; empty: boolean }>(
    `select t.table_name as of, column_name as name, data_type as type,
       is_nullable = 'YES' and column_name ~ '_at$' as empty
     from information_schema.columns c join information_schema.tables t using (table_schema, table_name)
     where table_schema = 'public' and table_type = 'BASE TABLE' order by ordinal_position`,
  );
  const asked = (table: string) => texts.some((text) => new RegExp(`\\b(live_)?${table}\\b`).test(text));
  for (const table of new Set(rows.map(({ of }) => of).filter(asked))) {
    const columns = rows.filter(({ of }) => of === table);
    const values = columns.map(({ name, type, empty }) => {
      if (name === "account_id") return `case when g <= ${OF_ONE} then 'one' else 'other' || g end`;
      if (empty) return "null";
      if (type === "bytea") return "sha256(g::text::bytea)";
      if (/_at$/.test(name)) return "'2099-01-01T00:00:00.000Z'";
      return type === "text" ? "md5(g::text)" : "0";
    });
    await client.query(
      `insert into ${table} (${columns.map(({ name }) => name).join(", ")})
       select ${values.join(", ")} from generate_series(1, ${OF_ONE + OTHERS}) g`,
    );
  }
}

describe("what a hot statement reads on PostgreSQL", () => {
  const seen: string[] = [];
  let opened: TestStorage;
  let client: pg.Client;
  let texts: readonly string[];
  let indexes: readonly Index[];
  beforeAll(async () => {
    opened = await openTestStorage("postgres", (text) => void seen.push(text));
    client = new pg.Client({ connectionString: opened.database_url });
    await client.connect();
    // As connections are prepared (`open-postgres.ts`), and what they keep from the sixth time on.
    await client.query("set jit = off; set enable_seqscan = off; set plan_cache_mode = force_generic_plan");
    const hot = await hotStatements();
    texts = [...hot.map(({ postgres }) => postgres.text), ...(await asksOfFamilies(opened, seen))];
    ({ rows: indexes } = await client.query<Index>(INDEXES));
  });
  afterAll(async () => {
    await client.end();
    await opened.close();
  });

  async function broadSteps(text: string): Promise<readonly string[]> {
    const places = Math.max(...[...text.matchAll(/\$(\d+)/g)].map(([, place]) => Number(place)));
    await client.query(`deallocate all; prepare asked as ${text}`);
    const values = Array.from({ length: places }, () => "null").join(", ");
    const { rows } = await client.query(`explain (format json) execute asked (${values})`);
    const [{ Plan }] = rows[0]["QUERY PLAN"] as [{ Plan: Node }];
    return nodesOf(Plan).flatMap((node) => broad(node, indexes) ?? []);
  }

  async function allBroadSteps(): Promise<readonly string[]> {
    const steps: string[] = [];
    for (const text of texts) steps.push(...(await broadSteps(text)));
    return steps;
  }

  it("is found by its whole key in tables that were never analysed", async () => {
    expect(texts.length).toBeGreaterThan(7);
    expect(await allBroadSteps()).toEqual([]);
  });

  it("is found by its whole key where one account has very many rows and very many have one", async () => {
    await fill(client, texts);
    await client.query("analyze");
    expect(await allBroadSteps()).toEqual([]);
  });
});

/**
 * What the database is asked for on request paths: nothing that PostgreSQL-compatible distributed engines lack, and
 * nothing that reads an account's rows to find a few of them.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { pagesOfAuthorizations } from "../../src/authentication/sessions/led-authorizations.ts";
import { sweeps as authenticationSweeps } from "../../src/authentication/sweeps.ts";
import { sqlitePath } from "../../src/config.ts";
import { budgetSweep, rememberedBudgetSweep, unclosedBudgetSweep } from "../../src/limits/limits.ts";
import { familiesSince, pagesOfFamilies } from "../../src/oauth/refresh/find-family.ts";
import { sweeps as oauthSweeps } from "../../src/oauth/sweeps.ts";
import { countOutbox, outboxSweep } from "../../src/outbox/counts.ts";
import { updateClaimRenewed } from "../../src/outbox/store.ts";
import { revocationSweep } from "../../src/revocation/revocation.ts";
import { migrate } from "../../src/storage/migrate.ts";
import { sealed_columns } from "../../src/storage/sealed.ts";
import { openSqliteFile, type SqliteFile } from "../../src/storage/sqlite/connection.ts";
import { instant } from "../../src/storage/storage.ts";
import { keySweep } from "../../src/tokens/keys/rotate-key.ts";
import type { Tokens } from "../../src/tokens/tokens.ts";
import { belongingsOf, openProvider } from "../support/belongings.ts";
import { createTestDatabase, openTestStorage } from "../support/engines.ts";
import {
  askForCode,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  newAccountId,
  newOwnerId,
  receiveCode,
  startLatchkey,
} from "../support/latchkey.ts";
import { ATTEMPTS, idsOf } from "../support/operations.ts";
import { until } from "../support/smtp.ts";
import { attemptAt, STANDARD_ATTEMPTS } from "../support/standard-attempts.ts";

const LACKING: readonly [string, RegExp][] = [
  ["advisory locks", /advisory/i],
  ["LISTEN and NOTIFY", /\b(listen|notify)\b/i],
  ["temporary tables", /\btemp(orary)?\s+table\b/i],
  ["sequences", /\b(nextval|serial|generated always)\b/i],
  ["triggers and rules", /\bcreate\s+(trigger|rule)\b/i],
  ["table locks", /\block\s+table\b/i],
  ["cursors", /\bdeclare\b[^;]*\bcursor\b/i],
  ["schema changes", /^\s*(create|alter|drop)\b/i],
  ["deferred constraints", /\bset\s+constraints\b/i],
];

/** The egress may reach the provider that belongings name. */
const env = { EGRESS_ALLOW: "127.0.0.0/8" };

/** Every operation and page, by somebody for whom it does something, and the ways of a code. */
async function exercise(latchkey: Latchkey): Promise<void> {
  for (const { method, path, options } of ATTEMPTS) {
    const tenant = await createTenant(latchkey, { account_id: newOwnerId() });
    const ids = await idsOf(latchkey, tenant);
    await call(`${tenant.base}${path(ids)}`, { method, token: tenant.token, ...options?.(ids) });
  }
  const provider = await openProvider();
  const standard = await createTenant(latchkey, { account_id: newOwnerId() });
  const own = await belongingsOf(latchkey, standard, provider.url);
  for (const attempt of STANDARD_ATTEMPTS) await attemptAt(standard, attempt, own, own);
  await provider.close();
  const numeric = await createTenant(latchkey, { client: { code_format: "numeric" } });
  const ident = { ident_type: "email", ident: numeric.user.email };
  await askForCode(numeric);
  await authorize(numeric, { verification_code: "000000", ...ident });
  await authorize(numeric, { verification_code: await receiveCode(numeric), ...ident });
  const coded = await authorize(numeric, {
    verification_code: await mintCode(numeric, { format: "link" }),
    response_type: "code",
    scope: "openid",
  });
  const code = new URL(coded.headers.get("location") ?? "").searchParams.get("code") ?? "";
  await call(`${numeric.base}/oauth/token`, {
    method: "POST",
    headers: { authorization: basic(numeric.client) },
    form: { grant_type: "authorization_code", code, redirect_uri: CALLBACK },
  });
}

describe("what runs on PostgreSQL for a request", () => {
  const texts = new Set<string>();
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey("postgres", { env, onQuery: (sql) => void texts.add(sql) });
  });
  afterAll(() => latchkey.close());

  it("is what distributed engines know", async () => {
    await exercise(latchkey);
    expect(texts.size).toBeGreaterThan(30);
    const found = [...texts].flatMap((text) =>
      LACKING.filter(([, pattern]) => pattern.test(text)).map(([what]) => `${what}: ${text.slice(0, 200)}`),
    );
    expect(found).toEqual([]);
  });

  it("names the columns that it takes, since a newer process may add some", () => {
    const takesAll = [...texts].filter((text) => /^\s*select ("?\w+"?\.)?\*|\breturning ("?\w+"?\.)?\*/i.test(text));
    expect(takesAll).toEqual([]);
  });

  it("names the account wherever it reads or changes a tenant's rows", () => {
    const tables =
      /\b(from|join|update|into)\s+"?(clients|grants|users|verification_codes|login_sessions|signing_keys)"?\b/i;
    const sweeps = /\blimit\b|expires_at" </i;
    const asked = [...texts].filter((text) => tables.test(text) && !START.test(text));
    const without = asked.filter((text) => !/account_id/.test(text) && !sweeps.test(text));
    expect(without).toEqual([]);
  });
});

/** An account has a handful of these, or there are few at any moment. */
const FEW =
  /^(SCAN|SEARCH) (migrations|accounts|connections|roles|account_keys|session_endings|person_endings)\b|^SEARCH (signing_keys|newer)\b/;
/** Asked once, at the start, of all accounts: under which keys something is sealed. */
const START = /^with recursive sealed_under\b/;
/** The janitor's, a page from the first key on, where the run takes so long that its turn comes. */
const PAGED = /^select [^()]* from "(session|person)_endings" order by "account_id", "(session|user)_id" limit \?\s*$/;
/** A list of all there are, in the order of their keys. */
const LIST =
  /^select (?!count)[^()]* from "(clients|grants|users|outbox)" where "account_id" = \?.* order by "id"( desc)?( limit \?)?$/;

const SWEEPS = [...authenticationSweeps, ...oauthSweeps, outboxSweep, revocationSweep];
/** Its expiry is looked at by a sweep that does more. */
const KEPT = ["client_registrations"];

/** A row that expired long ago in every table that has such. @returns their names. */
function insertExpired(path: string): readonly string[] {
  const filler: Record<string, string | number | Uint8Array> = { TEXT: "x", INTEGER: 0, BLOB: Buffer.from("x") };
  const file = openSqliteFile(path);
  try {
    file.exec("pragma ignore_check_constraints = on");
    const tables = file.all("select name from sqlite_schema where type = 'table'").map(({ name }) => String(name));
    return tables.filter((table) => {
      const columns = file.all(`pragma table_info('${table}')`);
      if (KEPT.includes(table) || !columns.some(({ name }) => name === "expires_at")) return false;
      const filled = columns.filter(({ name, notnull }) => notnull === 1 && name !== "expires_at");
      const names = ["expires_at", ...filled.map(({ name }) => String(name))];
      const values = [
        "2000-01-01T00:00:00.000Z",
        ...filled.map(({ type }) => filler[String(type).toUpperCase()] ?? "x"),
      ];
      file.run(`insert into ${table} (${names}) values (${names.map(() => "?")})`, ...values);
      return true;
    });
  } finally {
    file.close();
  }
}

describe("what runs on SQLite for a request", () => {
  const texts = new Set<string>();
  let latchkey: Latchkey;
  let file: SqliteFile;
  beforeAll(async () => {
    const onQuery = (sql: string) => void texts.add(sql.replaceAll(/\s+/g, " ").trim());
    latchkey = await startLatchkey("sqlite", { env, onQuery });
    file = openSqliteFile(sqlitePath(latchkey.database.database_url));
  });
  afterAll(async () => {
    file.close();
    await latchkey.close();
  });

  function planOf(text: string): readonly string[] {
    const numbered = [...text.matchAll(/\?(\d+)/g)].map(([, place]) => Number(place));
    const places = numbered.length > 0 ? Math.max(...numbered) : text.split("?").length - 1;
    const plan = file.all(`explain query plan ${text}`, ...Array.from({ length: places }, () => ""));
    return plan.map(({ detail }) => String(detail));
  }

  /** The steps of a plan that read all rows there are, or all of an account. */
  function broadSteps(text: string): readonly string[] {
    return planOf(text)
      .filter(
        (step) =>
          /^SCAN (?!CONSTANT|\d+ CONSTANT ROWS|(one|longest|channels|queues|others|ended|page|found|held|sized|oldest|newest)\b|\(subquery-\d+\))|\((account_id=\?( AND deleted_at=\?)?|ANY\(.*)\)$/.test(
            step,
          ) && !FEW.test(step),
      )
      .map((step) => `${step}: ${text.slice(0, 300)}`);
  }

  it("leads to its rows by an index", async () => {
    await exercise(latchkey);
    const statements = [...texts].filter((text) => /^(select|insert|update|delete|with)\b/i.test(text));
    expect(statements.length).toBeGreaterThan(80);
    const onPaths = statements.filter((text) => !LIST.test(text) && !START.test(text) && !PAGED.test(text));
    expect(onPaths.flatMap(broadSteps)).toEqual([]);
  });

  it("reads a person's codes that are alive, not those of all day", () => {
    const byPerson = [...texts].filter((text) => /verification_codes"?\b.*\bperson"? = \?/.test(text));
    const plans = byPerson.map((text) => planOf(text).find((step) => step.includes("verification_codes")));
    expect(byPerson.length).toBeGreaterThan(4);
    const bounded = "(account_id=? AND person=? AND expires_at>?)";
    expect(plans.filter((step) => !step?.endsWith(bounded) && !step?.includes("_digest=?"))).toEqual([]);
  });

  it("looks for what is due to be sent from one queue to the next, and takes it without reading the rest", async () => {
    await askForCode(await createTenant(latchkey, { account_id: newAccountId("P") }));
    const stepsOf = (start: string) => [...texts].filter((text) => text.startsWith(start)).flatMap(planOf);
    await until("a claim", () => stepsOf('with "due"').length > 0 || undefined);
    const steps = [...stepsOf("with recursive channels"), ...stepsOf('with "due"')];
    const outbox = steps.filter((step) => /^SEARCH outbox\b/.test(step));
    expect(outbox.length).toBeGreaterThan(4);
    const bounded = /outbox_queues \(state=\? AND channel=\?|\(account_id=\? AND id=\?\)$/;
    expect(outbox.filter((step) => !bounded.test(step))).toEqual([]);
  });

  it("reads what a consent led to in the order of an index, and of refresh tokens none of other clients but the newest", async () => {
    const seen: string[] = [];
    const { storage, close } = await openTestStorage("sqlite", (text) => void seen.push(text));
    const held = { account_id: "T1", user_id: "user", client_id: "client" };
    for (const pages of [pagesOfAuthorizations(storage.read, held), pagesOfFamilies(storage.read, held)])
      for await (const page of pages) expect(page).toEqual([]);
    await familiesSince(storage.read, held, instant(0));
    await close();
    const steps = seen.filter((text) => text.includes('"user_id" = ')).flatMap(planOf);
    expect(steps.map((step) => step.replace(/^SEARCH \w+ USING (COVERING )?INDEX /, "")).toSorted()).toEqual([
      "refresh_families_begun (account_id=? AND user_id=? AND created_at>?)",
      "refresh_families_held (account_id=? AND user_id=? AND client_id=? AND revoked_at=? AND id>?)",
      "sessions_person (account_id=? AND user_id=? AND id>?)",
    ]);
  });

  it("starts without reading what is sealed", () => {
    const asked = [...texts].filter((text) => START.test(text));
    expect(asked).toHaveLength(sealed_columns.length);
    for (const text of asked) {
      const steps = planOf(text).filter((step) => /^(SCAN|SEARCH) (?!CONSTANT|sealed_under)/.test(step));
      expect(steps.filter((step) => !/USING INDEX \w+_sealed_under/.test(step))).toEqual([]);
      expect(steps).toHaveLength(2);
    }
  });

  it("does so in a database from before it was told anything", async () => {
    const { database_url, drop } = await createTestDatabase("sqlite");
    const before = openSqliteFile(sqlitePath(database_url));
    before.exec("drop table sqlite_stat1");
    before.close();
    expect(await migrate(database_url)).toEqual([]);
    const told = openSqliteFile(sqlitePath(database_url));
    const plan = told.all(
      "explain query plan select * from clients where account_id = ? and client_id = ? order by id",
      "a",
      "b",
    );
    told.close();
    await drop();
    expect(String(plan[0]?.detail)).toContain("clients_client_id");
  });

  it("finds what has expired without reading what has not", async () => {
    const seen: string[] = [];
    const { storage, database_url, close } = await openTestStorage("sqlite", (text) => void seen.push(text));
    try {
      const tables = insertExpired(sqlitePath(database_url));
      const keys = keySweep({ storage } as Tokens, async () => 0);
      for (const { name, sweep } of [...SWEEPS, keys]) expect(await sweep(storage, 10), name).toBe(1);
      const swept = tables.filter((table) => seen.some((text) => text.startsWith(`delete from "${table}"`)));
      expect(swept).toEqual(tables);
      await budgetSweep.sweep(storage, 10);
      await rememberedBudgetSweep.sweep(storage, 10);
      await unclosedBudgetSweep.sweep(storage, 10);
      await countOutbox(storage);
      const keys_under_way = [{ account_id: "P", id: "1" }].concat({ account_id: "P", id: "2" });
      await storage.write((tx) => updateClaimRenewed(tx.db, "me", keys_under_way, instant(0)));
    } finally {
      await close();
    }
    const statements = seen.filter((text) => /^(select|delete|update)\b/i.test(text));
    expect(statements.flatMap(broadSteps)).toEqual([]);
    const rare = statements
      .flatMap(planOf)
      .flatMap((step) => /INDEX ((?:budgets|signing_keys|outbox)_\w+ .*)/.exec(step)?.[1] ?? []);
    expect(rare.toSorted()).toEqual([
      "budgets_ended (window_ends_at<?)",
      "budgets_remembered (window_ends_at<?)",
      "budgets_unclosed (budget=? AND window_ends_at<?)",
      "outbox_expiry (expires_at<?)",
      "outbox_failed (state=? AND finished_at>?)",
      "outbox_queues (state=?)",
      "signing_keys_expiry (expires_at<?)",
      "signing_keys_unretired (active_at<?)",
    ]);
  });
});

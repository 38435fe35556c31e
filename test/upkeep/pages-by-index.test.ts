/** Pages of few among very many are found by an index that leads to no others: each of these may be asked for by tenants at will. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { findElsewhere } from "../../src/authentication/sessions/elsewhere.ts";
import { finishEndings } from "../../src/authentication/sessions/endings.ts";
import { sqlitePath } from "../../src/config.ts";
import { lookAtAll, lookUpNext } from "../../src/directory/clients/untried.ts";
import type { Directory } from "../../src/directory/directory.ts";
import { pagesOfRoles } from "../../src/directory/roles/find-role.ts";
import { listInbox } from "../../src/outbox/inbox.ts";
import { openCache } from "../../src/storage/cache.ts";
import { openSqliteFile } from "../../src/storage/sqlite/connection.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../support/engines.ts";

const MANY = 5_000;
const account_id = "T00000001";
const times = { created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-01-01T00:00:00.000Z" };
const indexes = Array.from({ length: MANY }, (_, index) => index);

describeOnBothEngines("a page of few", (engine) => {
  let test: TestStorage;
  const asked: string[] = [];
  beforeAll(async () => {
    test = await openTestStorage(engine, (text) => asked.push(text));
    const roles = indexes.map((n) => ({
      account_id,
      id: `role-${n}`,
      name: `role ${n}`,
      scope: "[]",
      created_by: "x",
      ...times,
    }));
    const endings = indexes.map((n) => ({
      account_id,
      session_id: `s-${n}`,
      user_id: "other",
      client_id: "",
      sid: "",
    }));
    // One person's, all ended; the plan is asked for the instant "none".
    const sessions = indexes.map((n) => ({
      ...{ account_id, id: `s-${n}`, user_id: "nobody", browser_digest: Buffer.from([n % 256, n / 256]), auth_time: 0 },
      ...{ amr: "[]", provider: null, created_at: times.created_at, ended_at: times.created_at },
      ...{ idle_expires_at: "o", expires_at: "o" },
    }));
    const messages = indexes.map((n) => ({
      ...{ account_id, id: `m-${n}`, kind: "backchannel_logout", channel: "http", destination: "x", inbox: null },
      ...{
        payload: "{}",
        state: "sent",
        attempts: 1,
        next_attempt_at: times.created_at,
        created_at: times.created_at,
        expires_at: "2027",
      },
    }));
    const strangers = indexes.map((n) => ({
      ...{ account_id, id: `c-${n}`, client_id: `c-${n}`, origin: "metadata", settings: "{}", ...times },
      deleted_at: n % 2 ? times.created_at : null,
    }));
    for (let from = 0; from < MANY; from += 500)
      await test.storage.write(async ({ db }) => {
        await db
          .insertInto("roles")
          .values(roles.slice(from, from + 500) as never)
          .execute();
        await db
          .insertInto("session_endings")
          .values(endings.slice(from, from + 500))
          .execute();
        await db
          .insertInto("sessions")
          .values(sessions.slice(from, from + 500))
          .execute();
        await db
          .insertInto("clients")
          .values(strangers.slice(from, from + 500) as never)
          .execute();
        await db
          .insertInto("outbox")
          .values(messages.slice(from, from + 500) as never)
          .execute();
      });
    if (engine === "postgres") await test.storage.write(async ({ db }) => void (await sql`analyze`.execute(db)));
  });
  afterAll(() => test.close());

  /** How the engine carries out the last statement of a kind that was asked. */
  async function planOf(kind: RegExp): Promise<string> {
    const text = asked.findLast((one) => kind.test(one));
    if (text === undefined) throw new Error(`none was asked: ${asked.slice(-5).join("\n")}`);
    // The account comes first; of the rest there is none.
    let place = 0;
    const filled = text
      .replaceAll(/\$(\d+)|\?/g, (_, numbered = String(++place)) => (numbered === "1" ? `'${account_id}'` : "'none'"))
      .replace(/limit '\w+'/, "limit 5");
    if (engine === "postgres") {
      const { rows } = await sql<Record<string, string>>`${sql.raw(`explain ${filled}`)}`.execute(test.storage.read);
      return rows.map((row) => row["QUERY PLAN"]).join("\n");
    }
    const file = openSqliteFile(sqlitePath(test.database_url));
    const rows = file.all(`explain query plan ${filled}`);
    file.close();
    return rows.map(({ detail }) => String(detail)).join("\n");
  }
  const own = (): Pick<Directory, "storage"> => ({ storage: test.storage as Storage });

  it("of roles of one name", async () => {
    const query = { name: "none", include_deleted: false, limit: 5 };
    for await (const _ of pagesOfRoles(own() as Directory, account_id, query));
    expect(await planOf(/from "roles"/)).toContain("roles_named");
  });

  it("of what is left of one person's sessions", async () => {
    await finishEndings(own() as Directory, { account_id, user_id: "nobody" });
    expect(await planOf(/from "session_endings" where .*limit \S+$/)).toContain("session_endings_person");
  });

  it("of where else one person is logged in, and of what to end there", async () => {
    const at = { ...times, idle_expires_at: times.created_at, expires_at: times.created_at };
    const session = { account_id, id: "none", user_id: "nobody", auth_time: 0, amr: [], provider: null, ...at };
    for (const provider of [null, "https://elsewhere.example"]) {
      const here = { ...session, provider, user_type: "customer", unsettled: false } as const;
      asked.length = 0;
      await findElsewhere(own() as Directory, here);
      for (const kind of [
        /from "sessions".*"s"\."id" <> .*idle_expires_at >/s,
        /from "sessions"(?!.*idle_expires_at >)/s,
      ])
        expect(await planOf(kind), `${provider}`).toContain("sessions_unended");
    }
  });

  it("of messages to any inbox", async () => {
    await listInbox(test.storage, account_id, null, 5);
    expect(await planOf(/from "outbox"/)).toContain("outbox_inboxes");
  });

  it("of strangers' clients, in the order in which they give way", async () => {
    const room = { account_id, origin: "metadata", most: 10_000 } as const;
    const looked = await lookAtAll({ ...own(), untried: openCache() } as unknown as Directory, room);
    expect(await lookUpNext(test.storage.read, room, looked, test.storage.now())).toBeUndefined();
    const unkept = await planOf(/^select .*from "clients" .* limit 1\) is null order by "untried_since"/);
    const kept = await planOf(/^select .*from "clients" .* limit 1\) is not null order by "untried_since"/);
    for (const plan of [unkept, kept]) {
      expect(plan).toContain("clients_untried");
      expect(plan).not.toMatch(/\bsort\b|temp b-tree/i);
      expect(plan).toContain("consents_client");
    }
  });
});

/** Rows that several transactions lock are locked in one order, so that nobody waits for PostgreSQL to find a deadlock. */
import { randomBytes } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { sendContactCode } from "../../src/authentication/contact/send-contact-code.ts";
import type { AuthenticatedSubject } from "../../src/authentication/subject.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { findUser } from "../../src/directory/users/find-user.ts";
import { removeUser } from "../../src/directory/users/remove-user.ts";
import type { User } from "../../src/directory/users/user.ts";
import { logBrowserIn } from "../../src/oauth/browser/log-browser-in.ts";
import type { OpenRequest } from "../../src/oauth/browser/open-request.ts";
import type { Oauth } from "../../src/oauth/oauth.ts";
import { endLoginsOf } from "../../src/oauth/refresh/end-logins.ts";
import type { Storage, Transaction } from "../../src/storage/storage.ts";
import { engines } from "../support/engines.ts";
import { actor, addUser, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";

// SQLite runs one write at a time.
describe.runIf(engines.includes("postgres"))("locks are taken in one order", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let storage: Storage;
  beforeAll(async () => {
    latchkey = await startLatchkey("postgres");
    tenant = await createTenant(latchkey);
    storage = latchkey.server.core.storage;
  });
  afterAll(() => latchkey.close());

  const hold =
    (table: string, column: string, id: string, how = "") =>
    async (tx: Transaction) => {
      const { account_id } = tenant;
      const named = sql`${sql.ref(column)} = ${id} and account_id = ${account_id}`;
      const { rows } = await sql`select 1 from ${sql.table(table)} where ${named} for update ${sql.raw(how)}`.execute(
        tx.db,
      );
      expect(rows).toHaveLength(1);
    };
  /** Refused at once where whoever waits for this transaction holds it already. */
  const stillFree = (table: string, column: string, id: string) => hold(table, column, id, "nowait");

  /** A browser with two people's sessions and two requests, the later ones by key written first, and one of them logs in. */
  async function openBrowser() {
    const { account_id, client } = tenant;
    const [person, other] = [await addUser(latchkey, account_id), await addUser(latchkey, account_id)];
    const [browser, name] = [randomBytes(32), randomBytes(8).toString("hex")];
    const now = storage.now();
    const [created_at, later] = [new Date(now).toISOString(), new Date(now + 600_000).toISOString()];
    const times = { created_at, expires_at: later };
    const kept = {
      account_id,
      client_id: client.client_id,
      kind: "browser",
      parameters: "{}",
      progress: "{}",
      ...times,
    };
    const session = { account_id, auth_time: 1, amr: "[]", ...times, idle_expires_at: later };
    const [first, last] = [`a-${name}`, `z-${name}`];
    await storage.write(async ({ db }) => {
      for (const [id, user_id] of [
        [last, person.id],
        [first, other.id],
      ] as const) {
        const bound = { id, browser_digest: browser };
        await db
          .insertInto("authorization_requests")
          .values({ ...kept, ...bound })
          .execute();
        await db
          .insertInto("sessions")
          .values({ ...session, ...bound, user_id })
          .execute();
      }
    });
    const account = await findAccount(latchkey.server.core.directory, account_id);
    const opened = { request: { account_id, id: last }, browser } as unknown as OpenRequest;
    const subject = { user_id: person.id, authenticated_at: now, amr: ["otp"] } as unknown as AuthenticatedSubject;
    const { directory } = latchkey.server.core;
    const logIn = () => logBrowserIn({ directory } as Oauth, account, opened, subject, storage.now());
    return { first, last, logIn };
  }

  it.each([
    ["requests before sessions", "authorization_requests", "sessions", "first"],
    ["requests by key", "authorization_requests", "authorization_requests", "last"],
    ["sessions by key", "sessions", "sessions", "last"],
  ] as const)("by whoever logs in: %s", async (_, held, then, which) => {
    const browser = await openBrowser();
    const free = stillFree(then, "id", browser[which]);
    const both = await overlap(storage, hold(held, "id", browser.first), browser.logIn, free);
    expect(both).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
  });

  it("by whoever asks for another contact code: the code before what the account shares", async () => {
    const { directory } = latchkey.server.core;
    const { account_id } = tenant;
    const account = await findAccount(directory, account_id);
    const { id } = await addUser(latchkey, account_id);
    const user = await findUser(directory, account_id, id);
    const caller = { own: false, source: null, client_uuid: tenant.client.id };
    const wanted = { account, user, field: "phone_number", moves_factors: true, locale: undefined, caller } as const;
    const send = (value: string) => sendContactCode(directory, { ...wanted, value }, actor);
    await send("+46701234567");
    const both = await overlap(
      storage,
      hold("contact_challenges", "user_id", id),
      () => send("+46701234568"),
      stillFree("budgets", "budget", "sms_daily"),
    );
    expect(both).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
  });

  it("by whoever ends a person's logins, however many: families by key", async () => {
    const { account_id } = tenant;
    const { directory } = latchkey.server.core;
    const { id: user_id } = await addUser(latchkey, account_id);
    const now = storage.now();
    const at = (milliseconds: number) => new Date(milliseconds).toISOString();
    const ids = Array.from({ length: 500 }, (_, index) => `${randomBytes(8).toString("hex")}-${index}`).toSorted();
    const login = { client_id: "", grant_id: "", audience: "", scope: "[]", auth_time: 0, amr: "[]" };
    const token = { generation: 0, digest: Buffer.alloc(0), key_version: "" };
    const ends = { idle_expires_at: at(now + 600_000), expires_at: at(now + 600_000) };
    const families = ids.map((id, index) => {
      return { account_id, id, user_id, ...login, ...token, ...ends, created_at: at(now - 1_000 + index) };
    });
    await storage.write(async ({ db }) => void (await db.insertInto("refresh_families").values(families).execute()));
    const [oldest = "", newest = ""] = [ids.at(0), ids.at(-1)];
    const both = await overlap(
      storage,
      hold("refresh_families", "id", oldest),
      () => storage.write((tx) => endLoginsOf(tx, directory, { account_id, user_id })),
      stillFree("refresh_families", "id", newest),
    );
    expect(both).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
    const whose = storage.read.selectFrom("refresh_families").select("id").where("user_id", "=", user_id);
    expect(await whose.where("revoked_at", "is", null).execute()).toEqual([]);
  });

  it("by whoever deletes an account user: the user before their roles", async () => {
    const { account_id } = tenant;
    const user = await addUser(latchkey, account_id);
    const role = { account_id, user_id: user.id, role_id: "any" };
    await storage.write(async ({ db }) => void (await db.insertInto("user_roles").values(role).execute()));
    const { directory } = latchkey.server.core;
    const removing = () =>
      removeUser(directory, { account_id, id: user.id } as User, actor, (tx, person) =>
        endLoginsOf(tx, directory, person),
      );
    const both = await overlap(
      storage,
      hold("users", "id", user.id),
      removing,
      stillFree("user_roles", "user_id", user.id),
    );
    expect(both).toMatchObject([{ status: "fulfilled" }, { status: "fulfilled" }]);
  });
});

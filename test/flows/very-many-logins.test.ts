/** Of ever so many logins of one person all end at once, by the person's row: the newest are marked then, the others after that. */
import { randomUUID } from "node:crypto";
import { sql } from "kysely";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { finishEndings } from "../../src/authentication/sessions/endings.ts";
import { type GoesOn, holdByLogin } from "../../src/directory/users/logins-ended.ts";
import { endLoginsOf } from "../../src/oauth/refresh/end-logins.ts";
import { uuidv7 } from "../../src/secrets/uuid.ts";
import { sweepsOf } from "../../src/start-server.ts";
import { epoch, instant } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";

const MANY = 700;
/** That are marked in the transaction that ends all of them. */
const NAMED = 500;

describeOnBothEngines("very many logins of one person", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  let user: { readonly id: string; readonly email: string };
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    own = await addClient(latchkey, tenant.account_id, {
      grant_types: ["authorization_code", "refresh_token"],
      first_party: true,
    });
    standard = standardClient(latchkey, tenant, own);
  });
  beforeEach(async () => {
    vi.restoreAllMocks();
    user = await addUser(latchkey, tenant.account_id);
  });
  afterAll(() => latchkey.close());

  const core = () => latchkey.server.core;
  const whose = () => ({ account_id: tenant.account_id, user_id: user.id });
  const passed = async () => {
    const now = core().storage.now();
    await expect.poll(() => core().storage.now() > now, { timeout: 5_000 }).toBe(true);
  };
  const rowsOf = (table: "refresh_families" | "sessions") =>
    core()
      .storage.read.selectFrom(table)
      .selectAll()
      .where("account_id", "=", tenant.account_id)
      .where("user_id", "=", user.id)
      .execute();
  const marked = async () =>
    (await rowsOf("refresh_families")).filter((row) => "revoked_at" in row && row.revoked_at).length;
  const unended = async () => (await rowsOf("sessions")).filter((row) => "ended_at" in row && row.ended_at === null);
  /** The first of them, and then very many more. */
  async function logIn(surfer: Surfer) {
    const shown = await surfer.logIn(standard.address(own, { scope: "openid offline_access" }), tenant, user.email);
    const { body } = await standard.redeem(answered(shown).get("code") ?? "", own);
    await passed();
    const [family] = await rowsOf("refresh_families");
    const [session] = await rowsOf("sessions");
    const now = core().storage.now();
    const later = (index: number) => instant(now - MANY + index);
    if (!family || !session) throw new Error("nothing began");
    const times = epoch(family.created_at);
    await expect.poll(() => core().storage.now() - MANY > times, { timeout: 10_000 }).toBe(true);
    await core().storage.write(async ({ db }) => {
      const indexes = Array.from({ length: MANY }, (_, index) => index);
      const families = indexes.map((index) => ({ ...family, id: uuidv7(now), created_at: later(index) }));
      const sessions = indexes.map((index) => ({ ...session, id: randomUUID(), created_at: later(index) }));
      await db
        .insertInto("refresh_families")
        .values(families as never)
        .execute();
      await db
        .insertInto("sessions")
        .values(sessions as never)
        .execute();
    });
    const kept = { sid: family.id, began_at: times, hangs_on: [`sid:${family.id}`] };
    return { refresh_token: body.refresh_token as string, access_token: body.access_token as string, kept, session };
  }
  const refresh = async (refresh_token: string) => standard.token({ grant_type: "refresh_token", refresh_token }, own);
  const status = async (refresh_token: string) => (await refresh(refresh_token)).status;
  const silently = async (surfer: Surfer) =>
    answered(await surfer.visit(standard.address(own, { prompt: "none" }))).get("error") ?? "let in";
  const endLogins = (kept?: GoesOn) =>
    core().storage.write((tx) => endLoginsOf(tx, core().directory, { ...whose(), kept }));
  const userinfo = async (token: string) => (await call(`${tenant.base}/oauth/userinfo`, { token })).status;

  it("are refreshed no more, and lead to nobody's being let in, while few of them are marked", async () => {
    const surfer = openSurfer(latchkey);
    const { refresh_token } = await logIn(surfer);
    const before = core().storage.now();
    await passed();
    const next = (await refresh(refresh_token)).body;
    const { revocations } = core().directory;
    const whole = revocations.record.bind(revocations);
    let taken = 0;
    vi.spyOn(revocations, "record").mockImplementation((tx, account_id, subjects) => {
      if (++taken > 1) throw new Error("the process ends here");
      return whole(tx, account_id, subjects);
    });
    // By a clock that lags behind that of the refresh.
    const clock = vi.spyOn(core().storage, "now").mockReturnValue(before);
    await endLogins().finally(() => clock.mockRestore());
    expect(await silently(surfer)).toBe("login_required");
    expect(await marked()).toBe(NAMED);
    expect(await status(next.refresh_token)).toBe(400);
    expect(await userinfo(next.access_token), "begun with the login").toBe(401);
    expect((await unended()).length).toBeGreaterThan(0);
    await surfer.logIn(standard.address(own), tenant, user.email);
    expect(await silently(surfer), "anew").toBe("let in");
    vi.restoreAllMocks();
    expect(await status(refresh_token), "the answer that may be lost").toBe(400);
    const sweep = sweepsOf(core()).find(({ name }) => name === "endings of sessions");
    if (!sweep) throw new Error("no such sweep");
    // What was at it when it failed may hold it still.
    const swept = async () => {
      await sweep.sweep(core().storage, 500);
      return (await unended()).length;
    };
    await expect.poll(swept, { timeout: 60_000, message: "the one of afterwards" }).toBe(1);
    const left = core().storage.read.selectFrom("person_endings").selectAll();
    await expect.poll(async () => (await swept()) && (await left.execute())).toEqual([]);
    expect(await marked(), "for processes of before, which know nothing of the person's row").toBe(MANY + 1);
  }, 120_000);

  it("end but for one, which ends with the next and is not brought back", async () => {
    const surfer = openSurfer(latchkey);
    const { refresh_token, kept, session } = await logIn(surfer);
    await passed();
    await endLogins(kept);
    await expect.poll(async () => (await unended()).map(({ id }) => id), { timeout: 30_000 }).toEqual([session.id]);
    await expect.poll(marked, { timeout: 30_000 }).toBe(MANY);
    expect(await silently(surfer)).toBe("let in");
    const next = await refresh(refresh_token);
    expect([next.status, await userinfo(next.body.access_token)]).toEqual([200, 200]);
    await passed();
    await endLogins();
    expect(await status(next.body.refresh_token)).toBe(400);
    const byIt = core().storage.write((tx) => holdByLogin(tx, whose(), kept));
    await expect(byIt).rejects.toMatchObject({ code: "invalid_token" });
    expect([await status(next.body.refresh_token), await silently(surfer)]).toEqual([400, "login_required"]);
    expect(await userinfo(next.body.access_token)).toBe(401);
  }, 120_000);

  it("are walked through once, however often they end meanwhile, and not at all where all are marked", async () => {
    const { kept } = await logIn(openSurfer(latchkey));
    await passed();
    const { revocations, storage } = core().directory;
    const whole = revocations.endOlder.bind(revocations);
    let pages = 0;
    vi.spyOn(revocations, "endOlder").mockImplementation((...page) => {
      pages++;
      return whole(...page);
    });
    await endLogins(kept);
    // Of these each ends what the one before passed over, too, while that is under way.
    for (let times = 0; times < 6; times++) await endLogins();
    const left = () =>
      storage.read.selectFrom("person_endings").select("user_id").where("user_id", "=", user.id).execute();
    await expect.poll(left, { timeout: 30_000 }).toEqual([]);
    await expect.poll(async () => (await unended()).length, { timeout: 30_000 }).toBe(0);
    expect(await marked()).toBe(MANY + 1);
    expect(pages).toBeLessThanOrEqual(8);
    pages = 0;
    await endLogins();
    expect(await left(), "nothing is left of them").toEqual([]);
    expect(pages).toBe(0);
  }, 120_000);

  it("are ended to the last where more end while a walk is at its last look, or after it broke off", async () => {
    const { directory } = core();
    await logIn(openSurfer(latchkey));
    await passed();
    const { revocations, storage } = directory;
    const whole = revocations.endOlder.bind(revocations);
    let broken = true;
    vi.spyOn(revocations, "endOlder").mockImplementation(async (tx, ...page) => {
      if (broken) throw new Error("the process ends here");
      return whole(tx, ...page);
    });
    await endLogins();
    await expect(finishEndings(directory, whose())).rejects.toThrow("the process ends here");
    expect(await marked()).toBe(NAMED);
    const again = Array.from({ length: 5 }, () => finishEndings(directory, whose()));
    expect(new Set(again).size, "all but the first wait for the same").toBe(2);
    expect((await Promise.allSettled(again)).map(({ status }) => status)).toEqual(Array(5).fill("rejected"));
    broken = false;
    await finishEndings(directory, whose());
    expect([await marked(), (await unended()).length]).toEqual([MANY + 1, 0]);
    // Each comes when the one before may have looked for the last time.
    const insert = (session_id: string) =>
      storage.write(({ db }) =>
        db
          .insertInto("session_endings")
          .values({ ...whose(), session_id, client_id: "", sid: "" })
          .execute(),
      );
    const walks = Array.from({ length: 20 }, async (_, index) => {
      await insert(`gone-${index}`);
      await finishEndings(directory, whose());
      const left = storage.read.selectFrom("session_endings").select("sid").where("session_id", "=", `gone-${index}`);
      return left.execute();
    });
    expect(await Promise.all(walks)).toEqual(Array(20).fill([]));
  }, 120_000);

  it.each(["sessions", "refresh_families"] as const)(
    "are ended to the last where few are %s",
    async (few) => {
      await logIn(openSurfer(latchkey));
      await passed();
      const ids = (await rowsOf(few)).slice(NAMED / 2).map(({ id }) => id);
      await core().storage.write(async ({ db }) => {
        await sql`delete from ${sql.table(few)} where id in (${sql.join(ids)})`.execute(db);
      });
      const all = (await rowsOf("refresh_families")).length;
      await endLogins();
      await expect.poll(async () => (await unended()).length, { timeout: 30_000 }).toBe(0);
      await expect.poll(marked, { timeout: 30_000 }).toBe(all);
    },
    120_000,
  );

  it("leave the one that a process of before lets go on", async () => {
    await endLogins({ sid: randomUUID() });
    const surfer = openSurfer(latchkey);
    const shown = await surfer.logIn(standard.address(own, { scope: "openid offline_access" }), tenant, user.email);
    const { body } = await standard.redeem(answered(shown).get("code") ?? "", own);
    await passed();
    // It marks those that end one by one, and notes none.
    const ended = { logins_ended_at: instant(core().storage.now()) };
    await core().storage.write(({ db }) => db.updateTable("users").set(ended).where("id", "=", user.id).execute());
    expect([await status(body.refresh_token), await silently(surfer)]).toEqual([200, "let in"]);
  });

  it("are a deleted person's, who is let in nowhere", async () => {
    const surfer = openSurfer(latchkey);
    const { refresh_token, access_token } = await logIn(surfer);
    const path = `${tenant.base}/customers/users/${user.id}`;
    expect((await call(path, { method: "DELETE", token: tenant.token })).status).toBe(200);
    expect(await marked()).toBeGreaterThanOrEqual(NAMED);
    expect([await status(refresh_token), await userinfo(access_token)]).toEqual([400, 401]);
    expect(await silently(surfer)).toBe("login_required");
    await expect.poll(async () => (await unended()).length, { timeout: 30_000 }).toBe(0);
    await expect.poll(marked, { timeout: 30_000 }).toBe(MANY + 1);
  }, 120_000);
});

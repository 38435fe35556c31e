/** A session may have led to thousands of logins, and a person may have thousands of sessions: nobody else waits for their end. */
import { beforeEach, expect, it, vi } from "vitest";
import { finishEndings } from "../../src/authentication/sessions/endings.ts";
import { sweepsOf } from "../../src/start-server.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addUser, call, createTenant } from "../support/latchkey.ts";
import { lasting, withLedSessions } from "../support/led-sessions.ts";
import { answered } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const DAY = 86_400_000;
const OUT = "You are logged out";

describeOnBothEngines("long", (engine) => {
  const { suite, core, addOwn, heardAt, silently, logOut, refresh, sessionsOf, addLed, sessionOf, pages, unknownOf } =
    withLedSessions(engine);
  beforeEach(() => {
    vi.restoreAllMocks();
  });

  const left = () => core().storage.read.selectFrom("session_endings").selectAll().execute();
  const eventsOf = async (entities: readonly string[]) => {
    const events = await core()
      .storage.read.selectFrom("audit_events")
      .select("entity")
      .where("account_id", "=", suite().tenant.account_id)
      .where("action", "=", "session.ended")
      .execute();
    return events.filter(({ entity }) => entities.includes(entity ?? "")).length;
  };

  it("a logout ends what much a session led to page by page, and tells each client once", async () => {
    const { latchkey, own, standard } = suite();
    const [second, third] = [await addOwn("/second"), await addOwn("/third")];
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const sids = await addLed(session.id, [second.id, third.id, own.id], 450);
    const sizes = pages();
    expect((await logOut(surfer, tokens.id_token)).html).toContain(OUT);
    expect(Math.max(...sizes())).toBeLessThanOrEqual(100);
    await expect.poll(() => unknownOf(sids)).toBe(0);
    expect(await refresh(tokens.refresh_token)).toBe(400);
    expect([await eventsOf([session.id]), await left()]).toEqual([1, []]);
    await expect.poll(() => heardAt("/second") + heardAt("/third"), { timeout: 10_000 }).toBe(2);
  });

  it("a logout that stops half-way has ended the session, and the janitor ends the rest", async () => {
    const { latchkey, own, standard } = suite();
    const fourth = await addOwn("/fourth");
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const sids = await addLed(session.id, [own.id, fourth.id], 450);
    const { revocations } = core().directory;
    const whole = revocations.record.bind(revocations);
    let taken = 0;
    vi.spyOn(revocations, "record").mockImplementation((tx, account_id, subjects) => {
      if (++taken === 3) throw new Error("the process ends here");
      return whole(tx, account_id, subjects);
    });
    expect((await logOut(surfer, tokens.id_token)).status).toBe(500);
    vi.restoreAllMocks();
    expect((await silently(surfer)).get("error")).toBe("login_required");
    expect([unknownOf(sids) > 0, (await left()).length]).toEqual([true, 1]);
    const sweep = sweepsOf(core()).find(({ name }) => name === "endings of sessions");
    if (!sweep) throw new Error("no such sweep");
    while ((await sweep.sweep(core().storage, 500)) > 0);
    await expect.poll(() => unknownOf(sids)).toBe(0);
    expect([await left(), await eventsOf([session.id])]).toEqual([[], 1]);
    await expect.poll(() => heardAt("/fourth"), { timeout: 10_000 }).toBe(1);
  });

  it("a person with many sessions is deleted at once, and each session ends after that", async () => {
    const { latchkey, tenant } = suite();
    const fifth = await addOwn("/fifth");
    const { email, id: user_id } = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(email, surfer);
    const many = Array.from({ length: 700 }, (_, index) => ({ ...session, id: `${session.id}-${index}` }));
    await core().storage.write(({ db }) => db.insertInto("sessions").values(many).execute());
    const sids: string[] = [];
    for (const { id } of many.slice(0, 60)) sids.push(...(await addLed(id, [fifth.id], 3)));
    const sizes = pages();
    const user = `${tenant.base}/customers/users/${user_id}`;
    expect((await call(user, { method: "DELETE", token: tenant.token })).status).toBe(200);
    expect(await refresh(tokens.refresh_token)).toBe(400);
    const unended = async () => (await sessionsOf(user_id)).filter(({ ended_at }) => ended_at === null).length;
    await expect.poll(async () => (await unended()) + (await left()).length, { timeout: 60_000 }).toBe(0);
    expect(Math.max(...sizes())).toBeLessThanOrEqual(101);
    // The process hears of the last page's commit a moment after the file shows it.
    await expect.poll(() => unknownOf(sids)).toBe(0);
    expect(await eventsOf(many.map(({ id }) => id))).toBe(700);
    await expect.poll(() => heardAt("/fifth"), { timeout: 30_000 }).toBe(60);
  }, 180_000);

  it("endings of several accounts are each one's own, whoever's are left for the janitor", async () => {
    const { latchkey, tenant } = suite();
    const { storage } = core();
    const [now, later] = [new Date().toISOString(), new Date(Date.now() + DAY).toISOString()];
    const accounts = [tenant.account_id, (await createTenant(latchkey)).account_id];
    const about = (account_id: string) => ({ account_id, session_id: `left ${account_id}` });
    await storage.write(async ({ db }) => {
      const begun = { user_id: "left", client_id: "", sid: "" };
      const endings = accounts.map((account_id) => ({ ...about(account_id), ...begun }));
      const led = accounts.map((account_id) => ({
        ...{ ...about(account_id), sid: `sid ${account_id}`, client_id: "any" },
        ...{ created_at: now, expires_at: later },
      }));
      await db.insertInto("session_endings").values(endings).execute();
      await db.insertInto("session_authorizations").values(led).execute();
    });
    const sweep = sweepsOf(core()).find(({ name }) => name === "endings of sessions");
    while (((await sweep?.sweep(storage, 500)) ?? 0) > 0);
    expect(await left()).toEqual([]);
    const revoked = storage.read.selectFrom("revocations").select(["account_id", "subject"]);
    const subjects = accounts.map((account_id) => `sid:sid ${account_id}`);
    const rows = await revoked.where("subject", "in", subjects).orderBy("subject").execute();
    expect(rows).toEqual(accounts.toSorted().map((account_id) => ({ account_id, subject: `sid:sid ${account_id}` })));
  });

  it("taking back a consent ends what many logins led to page by page, and begins anew where it was cut short", async () => {
    const { latchkey, tenant, own, standard } = suite();
    const third = await addClient(latchkey, tenant.account_id, lasting);
    const surfer = openSurfer(latchkey);
    const { session, user_id } = await sessionOf(await standard.someone(), surfer);
    const offline = { scope: "openid offline_access" };
    const logInThere = async () => {
      const asked = await surfer.visit(standard.address(third, offline));
      const shown = asked.html.includes('value="allow"') ? await surfer.act(asked, "allow") : asked;
      return (await standard.redeem(answered(shown).get("code") ?? "", third)).body;
    };
    const tokens = await logInThere();
    const sids = await addLed(session.id, [third.id, own.id], 640);
    const at_third = sids.filter((_, index) => index % 2 === 0);
    const { revocations } = core().directory;
    const whole = revocations.record.bind(revocations);
    const sizes: number[] = [];
    let later = "";
    vi.spyOn(revocations, "record").mockImplementation(async (tx, account_id, subjects) => {
      sizes.push(subjects.length);
      if (sizes.length === 2) throw new Error("the process ends here");
      return whole(tx, account_id, subjects);
    });
    const path = `${tenant.base}/customers/users/${user_id}/consents`;
    const takeBack = async () => (await call(`${path}/${third.id}`, { method: "DELETE", token: tenant.token })).status;
    const agreed = async () => (await call(path, { token: tenant.token })).body.length;
    expect([await takeBack(), await agreed()]).toEqual([500, 1]);
    later = (await logInThere()).access_token;
    expect([await takeBack(), await agreed()]).toEqual([204, 0]);
    expect(Math.max(...sizes)).toBeLessThanOrEqual(200);
    await expect.poll(() => unknownOf(at_third)).toBe(0);
    expect(unknownOf(sids), "the other client's").toBe(320);
    const form = { grant_type: "refresh_token", refresh_token: tokens.refresh_token };
    expect((await standard.token(form, third)).status).toBe(400);
    expect((await call(`${tenant.base}/oauth/userinfo`, { token: later })).status).toBe(401);
    expect(await takeBack(), "nothing is left").toBe(404);
  });

  it("a browser's new cookie takes along what is going on, and of very much else some", async () => {
    const { latchkey, tenant, own, standard } = suite();
    const surfer = openSurfer(latchkey);
    const email = await standard.someone();
    const { user_id, session } = await sessionOf(email, surfer);
    const digest = async () =>
      Buffer.from((await sessionsOf(user_id)).find(({ id }) => id === session.id)?.browser_digest ?? []);
    const browser_digest = await digest();
    const [now, later] = [new Date().toISOString(), new Date(Date.now() + DAY).toISOString()];
    const about = {
      account_id: tenant.account_id,
      client_id: own.id,
      kind: "browser",
      parameters: "{}",
      progress: "{}",
    };
    const rows = Array.from({ length: 300 }, (_, index) => ({
      // Before any that is drawn: which of very many follow is up to the engine, and it may read them in this order.
      ...{ ...about, id: `!${user_id}-${index}`, browser_digest, created_at: now, expires_at: later },
      used_at: index < 150 ? now : null,
    }));
    const ended = rows.map(({ id }) => ({ ...session, id, ended_at: now }));
    await core().storage.write(async ({ db }) => {
      await db.insertInto("authorization_requests").values(rows).execute();
      await db.insertInto("sessions").values(ended).execute();
    });
    const shown = await surfer.logIn(standard.address(own, { prompt: "login" }), tenant, email);
    expect(answered(shown).get("code"), `${shown.status} ${shown.url} ${shown.html}`).toBeTruthy();
    const moved = core()
      .storage.read.selectFrom("authorization_requests")
      .select(["id", "used_at"])
      .where("account_id", "=", tenant.account_id)
      .where("browser_digest", "=", await digest());
    const open = (await moved.execute()).filter(({ id }) => id.includes(user_id));
    expect([open.length, open.filter(({ used_at }) => used_at !== null).length]).toEqual([100, 0]);
    const now_at = await digest();
    const followed = (await sessionsOf(user_id)).filter((one) => now_at.equals(Buffer.from(one.browser_digest)));
    expect(followed.map(({ id, ended_at }) => [id === session.id, ended_at === null]).toSorted()).toEqual([
      ...Array(100).fill([false, false]),
      [true, true],
    ]);
  });

  it.runIf(engine === "postgres")("what another process is ending is waited for", async () => {
    const { tenant } = suite();
    const { storage, directory } = core();
    const whose = { account_id: tenant.account_id, user_id: "held" };
    const ending = { ...whose, session_id: "held", client_id: "", sid: "" };
    await storage.write(async ({ db }) => void (await db.insertInto("session_endings").values(ending).execute()));
    let over = false;
    let waiting: Promise<void> | undefined;
    await storage.write(async ({ db }) => {
      await db.selectFrom("session_endings").select("sid").where("user_id", "=", "held").forUpdate().execute();
      waiting = finishEndings(directory, whose).then(() => {
        over = true;
      });
      await new Promise((resolve) => setTimeout(resolve, 300));
      expect(over).toBe(false);
    });
    await waiting;
    const left = storage.read.selectFrom("session_endings").select("sid").where("user_id", "=", "held");
    expect(await left.execute()).toEqual([]);
  });
});

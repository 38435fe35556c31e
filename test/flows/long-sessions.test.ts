/** A session may have led to thousands of logins, and a person may have thousands of sessions: nobody else waits for their end. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, beforeEach, expect, it, vi } from "vitest";
import { finishEndings } from "../../src/authentication/sessions/endings.ts";
import { makeRoom } from "../../src/oauth/browser/make-room.ts";
import { sweepsOf } from "../../src/start-server.ts";
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
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const DAY = 86_400_000;
const OUT = "You are logged out";

describeOnBothEngines("long", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  let listener: Receiver;
  beforeAll(async () => {
    listener = await openReceiver();
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    own = await addOwn("/own");
    standard = standardClient(latchkey, tenant, own);
  });
  beforeEach(() => {
    vi.restoreAllMocks();
  });
  afterAll(async () => {
    await latchkey.close();
    await listener.close();
  });

  const lasting: Parameters<typeof addClient>[2] = { grant_types: ["authorization_code", "refresh_token"] };
  const addOwn = (path: string) => {
    const backchannel_logout_uri = `${listener.url}${path}`;
    return addClient(latchkey, tenant.account_id, { ...lasting, first_party: true, backchannel_logout_uri });
  };
  const heardAt = (path: string) => listener.all.filter((received) => received.path === path).length;
  const core = () => latchkey.server.core;
  const logIn = async (surfer: Surfer, email: string) => {
    const shown = await surfer.logIn(standard.address(own, { scope: "openid offline_access" }), tenant, email);
    return (await standard.redeem(answered(shown).get("code") ?? "", own)).body;
  };
  const silently = async (surfer: Surfer, client = own, scope = "openid") =>
    answered(await surfer.visit(standard.address(client, { scope, prompt: "none" })));
  const logOut = (surfer: Surfer, id_token_hint: string) =>
    surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint })}`);
  const refresh = async (refresh_token: string) =>
    (await standard.token({ grant_type: "refresh_token", refresh_token }, own)).status;

  const sessionsOf = (user_id: string) =>
    core()
      .storage.read.selectFrom("sessions")
      .selectAll()
      .where("account_id", "=", tenant.account_id)
      .where("user_id", "=", user_id)
      .execute();
  /** What silent logins leave of themselves. @returns their `sid`. */
  const addLed = async (session_id: string, clients: readonly TestClient[], count: number, created = Date.now()) => {
    const created_at = new Date(created).toISOString();
    const led = Array.from({ length: count }, (_, index) => ({
      account_id: tenant.account_id,
      session_id,
      sid: `${session_id}-${created}-${index}`,
      client_id: clients[index % clients.length]?.id ?? "",
      created_at,
      expires_at: new Date(created + 30 * DAY).toISOString(),
    }));
    for (let from = 0; from < count; from += 1_000)
      await core().storage.write(({ db }) =>
        db
          .insertInto("session_authorizations")
          .values(led.slice(from, from + 1_000))
          .execute(),
      );
    return led.map(({ sid }) => sid);
  };
  const sessionOf = async (email: string, surfer: Surfer) => {
    const tokens = await logIn(surfer, email);
    const { id: user_id } = await core()
      .storage.read.selectFrom("users")
      .select("id")
      .where("account_id", "=", tenant.account_id)
      .where("email_canonical", "=", email)
      .executeTakeFirstOrThrow();
    const [session] = await sessionsOf(user_id);
    if (!session) throw new Error("no session");
    return { tokens, session, user_id };
  };
  const pages = () => {
    const record = vi.spyOn(core().directory.revocations, "record");
    return () => record.mock.calls.map(([, , subjects]) => subjects.length);
  };
  const unknownOf = (sids: readonly string[]) =>
    sids.filter((sid) => !core().directory.revocations.knows(tenant.account_id, `sid:${sid}`)).length;
  const left = () => core().storage.read.selectFrom("session_endings").selectAll().execute();
  const eventsOf = async (entities: readonly string[]) => {
    const events = await core()
      .storage.read.selectFrom("audit_events")
      .select("entity")
      .where("account_id", "=", tenant.account_id)
      .where("action", "=", "session.ended")
      .execute();
    return events.filter(({ entity }) => entities.includes(entity ?? "")).length;
  };

  it("a logout ends what much a session led to page by page, and tells each client once", async () => {
    const [second, third] = [await addOwn("/second"), await addOwn("/third")];
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const sids = await addLed(session.id, [second, third, own], 450);
    const sizes = pages();
    expect((await logOut(surfer, tokens.id_token)).html).toContain(OUT);
    expect(Math.max(...sizes())).toBeLessThanOrEqual(100);
    await expect.poll(() => unknownOf(sids)).toBe(0);
    expect(await refresh(tokens.refresh_token)).toBe(400);
    expect([await eventsOf([session.id]), await left()]).toEqual([1, []]);
    await expect.poll(() => heardAt("/second") + heardAt("/third"), { timeout: 10_000 }).toBe(2);
  });

  it("a logout that stops half-way has ended the session, and the janitor ends the rest", async () => {
    const fourth = await addOwn("/fourth");
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const sids = await addLed(session.id, [own, fourth], 450);
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
    const fifth = await addOwn("/fifth");
    const { email, id: user_id } = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(email, surfer);
    const many = Array.from({ length: 700 }, (_, index) => ({ ...session, id: `${session.id}-${index}` }));
    await core().storage.write(({ db }) => db.insertInto("sessions").values(many).execute());
    const sids: string[] = [];
    for (const { id } of many.slice(0, 60)) sids.push(...(await addLed(id, [fifth], 3)));
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

  /** What silent logins leave of themselves whose codes were redeemed. */
  const addRedeemed = async (...led: Parameters<typeof addLed>) => {
    const sids = await addLed(...led);
    const [redeemed_at, expires_at] = [new Date().toISOString(), new Date(Date.now() + DAY).toISOString()];
    for (let from = 0; from < sids.length; from += 1_000)
      await core().storage.write(({ db }) => {
        const some = sids.slice(from, from + 1_000);
        const rows = some.map((sid) => ({ account_id: tenant.account_id, id: sid, sid, redeemed_at, expires_at }));
        return db.insertInto("redeemed_authorization_codes").values(rows).execute();
      });
    return sids;
  };
  /** A login at a client, redeemed, that was days ago. */
  const logInLongAgo = async (surfer: Surfer, client: TestClient, scope: string) => {
    const { body } = await standard.redeem((await silently(surfer, client, scope)).get("code") ?? "", client);
    const created_at = new Date(Date.now() - 3 * DAY).toISOString();
    await core().storage.write(({ db }) =>
      db.updateTable("session_authorizations").set({ created_at }).where("client_id", "=", client.id).execute(),
    );
    return body;
  };
  const ledTo = async (session_id: string) => {
    const rows = core().storage.read.selectFrom("session_authorizations").select("sid");
    return (await rows.where("session_id", "=", session_id).execute()).map(({ sid }) => sid);
  };
  const staying = async (session_id: string, ...all: readonly (readonly string[])[]) => {
    const led = new Set(await ledTo(session_id));
    return all.map((sids) => sids.filter((sid) => led.has(sid)).length);
  };
  const familiesOf = async (sids: readonly string[]) => {
    const rows = core().storage.read.selectFrom("refresh_families").select("id");
    return (await rows.where("id", "in", sids).execute()).length;
  };
  const stands = async (access_token: string) =>
    (await call(`${tenant.base}/oauth/userinfo`, { token: access_token })).status === 200;

  it("a session leads to no more than can be ended with it: codes that nobody redeemed give way, and nothing ends", async () => {
    const [flooded, another] = [await addOwn("/flooded"), await addOwn("/another")];
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const few = await addLed(session.id, [another], 1, Date.now() - 3 * DAY);
    const redeemed = await logInLongAgo(surfer, flooded, "openid");
    // Sent there by any page, again and again: nobody redeems what comes of it.
    const oldest = await addLed(session.id, [flooded], 100, Date.now() - DAY);
    const filled = await addLed(session.id, [flooded], 5_000 - 103, Date.now() - DAY / 2);
    const sizes = pages();
    for (const client of [own, flooded, another])
      expect((await silently(surfer, client)).get("code"), client.client_id).toBeTruthy();
    expect(await staying(session.id, oldest, filled, few), "the oldest of the fullest give way").toEqual([0, 4_897, 1]);
    expect([sizes(), unknownOf(oldest), await familiesOf(oldest)], "and leave nothing behind").toEqual([[], 100, 0]);
    expect(await stands(redeemed.access_token)).toBe(true);
    expect((await logOut(surfer, tokens.id_token)).html).toContain(OUT);
    await expect.poll(() => stands(redeemed.access_token), { message: "it ends with its session" }).toBe(false);
  });

  it("where all may be alive the oldest logins of the fullest client end, so many an hour, and last what can be refreshed", async () => {
    const flooded = await addOwn("/redeemed");
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const lasting_tokens = await logInLongAgo(surfer, flooded, "openid offline_access");
    const oldest = await addRedeemed(session.id, [flooded], 100, Date.now() - DAY);
    const devices = await addLed(session.id, [flooded], 100, Date.now() - 5 * 60_000);
    await addRedeemed(session.id, [flooded], 5_000 - 202, Date.now() - DAY / 2);
    expect((await silently(surfer)).get("code")).toBeTruthy();
    expect(await staying(session.id, oldest, devices)).toEqual([0, 100]);
    expect(unknownOf(oldest)).toBe(0);
    expect(await refresh(tokens.refresh_token)).toBe(200);
    const form = { grant_type: "refresh_token", refresh_token: lasting_tokens.refresh_token };
    expect((await standard.token(form, flooded)).status).toBe(200);

    const counted = core().storage.read.selectFrom("budgets").select("count").where("subject", "=", session.id);
    expect((await counted.execute()).map(({ count }) => Number(count))).toEqual([100]);
    await addRedeemed(session.id, [flooded], 99, Date.now() - 3 * DAY);
    await core().storage.write(({ db }) =>
      db.updateTable("budgets").set({ count: 901 }).where("subject", "=", session.id).execute(),
    );
    expect((await silently(surfer)).get("error")).toBe("temporarily_unavailable");
    expect((await ledTo(session.id)).length).toBe(5_000);
    await letPass(latchkey, "budgets", tenant.account_id, 3_600);
    expect((await silently(surfer)).get("code")).toBeTruthy();
  });

  it("a code keeps its minute, however full its session is", async () => {
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await standard.someone(), surfer);
    const young = await addLed(session.id, [own], 5_000 - 1);
    const sizes = pages();
    expect((await silently(surfer)).get("error")).toBe("temporarily_unavailable");
    expect([await staying(session.id, young), sizes()]).toEqual([[4_999], []]);
  });

  it("many who make room at once take no more than is needed, and nothing of another client", async () => {
    const [flooded, another] = [await addOwn("/at-once"), await addOwn("/beside")];
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await standard.someone(), surfer);
    const few = await addRedeemed(session.id, [another], 6, Date.now() - 3 * DAY);
    // The first of them finds room for one alone, which the next may take from it.
    await addLed(session.id, [flooded], 1, Date.now() - 2 * DAY);
    await addRedeemed(session.id, [flooded], 5_000 - 8, Date.now() - DAY);
    const answers = await Promise.all(Array.from({ length: 120 }, () => silently(surfer, flooded)));
    expect(answers.filter((answer) => answer.get("code") === null).map(String)).toEqual([]);
    expect((await ledTo(session.id)).length).toBeGreaterThan(4_800);
    expect(await staying(session.id, few)).toEqual([6]);
  });

  it("room is made in a session by what is not its client's newest, cannot be refreshed, and does not go on", async () => {
    const { session, user_id } = await sessionOf(await standard.someone(), openSurfer(latchkey));
    const { storage, directory } = core();
    const { account_id } = tenant;
    const [family] = await storage.read
      .selectFrom("refresh_families")
      .selectAll()
      .where("account_id", "=", account_id)
      .where("user_id", "=", user_id)
      .execute();
    const at = (later: number) => new Date(storage.now() + later).toISOString();
    /** Of so many logins of one client, the oldest first: whether there was room to make, and which are left. */
    const makeRoomAmong = async (
      count: number,
      prepare: (sids: readonly string[]) => Promise<void> = async () => {},
    ) => {
      const session_id = randomUUID();
      await storage.write(({ db }) =>
        db
          .insertInto("sessions")
          .values({ ...session, id: session_id })
          .execute(),
      );
      const sids = await addLed(session_id, [own], count);
      await prepare(sids);
      const made = await makeRoom(directory, { account_id, session_id }, storage.now());
      const led = storage.read.selectFrom("session_authorizations").select("sid").where("session_id", "=", session_id);
      const left = (await led.execute()).map(({ sid }) => sid);
      return [made, sids.map((sid) => left.includes(sid))];
    };
    expect(await makeRoomAmong(1)).toEqual([false, [true]]);
    expect(await makeRoomAmong(2)).toEqual([true, [false, true]]);
    const lasts = async ([first = "", second = ""]: readonly string[]) => {
      const families = [
        { ...family, id: first },
        { ...family, id: second, idle_expires_at: at(-1_000) },
      ];
      await storage.write(async ({ db }) => {
        await db
          .insertInto("refresh_families")
          .values(families as never)
          .execute();
      });
    };
    expect(await makeRoomAmong(3, lasts), "the first can be refreshed, the second no more").toEqual([
      true,
      [true, false, false],
    ]);
    const goesOn = async ([first = ""]: readonly string[]) => {
      const logins_ended_at = at(0);
      const ended = { logins_ended_at, logins_ended_but: `${logins_ended_at} ${first}` };
      await storage.write(async ({ db }) => {
        const users = db.updateTable("users").set(ended).where("account_id", "=", account_id);
        await users.where("id", "=", user_id).execute();
      });
    };
    expect(await makeRoomAmong(3, goesOn), "the first, where its person's others ended").toEqual([
      true,
      [true, false, false],
    ]);
  });

  it("endings of several accounts are each one's own, whoever's are left for the janitor", async () => {
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
    const sids = await addLed(session.id, [third, own], 640);
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

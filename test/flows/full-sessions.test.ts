/** A session leads to so many logins at a time. Whoever fills it, in whose name ever, keeps nobody out and ends nothing of another client. */
import { beforeEach, expect, it, vi } from "vitest";
import { makeRoom } from "../../src/oauth/browser/make-room.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, type TestClient } from "../support/latchkey.ts";
import { withLedSessions } from "../support/led-sessions.ts";
import { answered } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const DAY = 86_400_000;
const OUT = "You are logged out";

describeOnBothEngines("a full session", (engine) => {
  const { suite, core, addOwn, silently, logOut, refresh, addLed, sessionOf, pages, unknownOf } =
    withLedSessions(engine);
  beforeEach(() => {
    vi.restoreAllMocks();
  });

  /** What silent logins leave of themselves whose codes were redeemed. */
  const addRedeemed = async (...led: Parameters<typeof addLed>) => {
    const sids = await addLed(...led);
    const [redeemed_at, expires_at] = [new Date().toISOString(), new Date(Date.now() + DAY).toISOString()];
    for (let from = 0; from < sids.length; from += 1_000)
      await core().storage.write(({ db }) => {
        const some = sids.slice(from, from + 1_000);
        const rows = some.map((sid) => ({
          account_id: suite().tenant.account_id,
          id: sid,
          sid,
          redeemed_at,
          expires_at,
        }));
        return db.insertInto("redeemed_authorization_codes").values(rows).execute();
      });
    return sids;
  };
  /** A login at a client, redeemed, that was days ago. */
  const logInLongAgo = async (surfer: Surfer, client: TestClient, scope: string) => {
    const { body } = await suite().standard.redeem((await silently(surfer, client, scope)).get("code") ?? "", client);
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
  /** What was counted against a session itself. */
  const budgetsOf = async (session_id: string) => {
    const rows = core().storage.read.selectFrom("budgets").select(["budget", "count"]);
    const counted = await rows.where("subject", "=", session_id).execute();
    return Object.fromEntries(counted.map((row) => [row.budget, Number(row.count)]));
  };
  /** As if so much had been counted in a window that runs. */
  const count = (budget: string, subject: string, counted: number) =>
    core().storage.write(({ db }) =>
      db
        .updateTable("budgets")
        .set({ count: counted })
        .where("budget", "=", budget)
        .where("subject", "=", subject)
        .execute(),
    );
  const familiesOf = async (sids: readonly string[]) => {
    const rows = core().storage.read.selectFrom("refresh_families").select("id");
    return (await rows.where("id", "in", sids).execute()).length;
  };
  const stands = async (access_token: string) =>
    (await call(`${suite().tenant.base}/oauth/userinfo`, { token: access_token })).status === 200;

  it("a session leads to no more than can be ended with it: codes that nobody redeemed give way, and nothing ends", async () => {
    const { latchkey, own, standard } = suite();
    const [flooded, another] = [await addOwn("/flooded"), await addOwn("/another")];
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const few = await addLed(session.id, [another.id], 1, Date.now() - 3 * DAY);
    const redeemed = await logInLongAgo(surfer, flooded, "openid");
    // Sent there by any page, again and again: nobody redeems what comes of it.
    const oldest = await addLed(session.id, [flooded.id], 100, Date.now() - DAY);
    const filled = await addLed(session.id, [flooded.id], 5_000 - 103, Date.now() - DAY / 2);
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
    const { latchkey, tenant, standard } = suite();
    const flooded = await addOwn("/redeemed");
    const surfer = openSurfer(latchkey);
    const { tokens, session } = await sessionOf(await standard.someone(), surfer);
    const lasting_tokens = await logInLongAgo(surfer, flooded, "openid offline_access");
    const oldest = await addRedeemed(session.id, [flooded.id], 100, Date.now() - DAY);
    const devices = await addLed(session.id, [flooded.id], 100, Date.now() - 5 * 60_000);
    await addRedeemed(session.id, [flooded.id], 5_000 - 202, Date.now() - DAY / 2);
    expect((await silently(surfer, flooded)).get("code")).toBeTruthy();
    expect(await staying(session.id, oldest, devices)).toEqual([0, 100]);
    expect(unknownOf(oldest)).toBe(0);
    expect(await refresh(tokens.refresh_token)).toBe(200);
    const form = { grant_type: "refresh_token", refresh_token: lasting_tokens.refresh_token };
    expect((await standard.token(form, flooded)).status).toBe(200);

    expect(await budgetsOf(session.id)).toEqual({ session_look: 1, session_room: 100 });
    await addRedeemed(session.id, [flooded.id], 99, Date.now() - 3 * DAY);
    await count("session_room", session.id, 901);
    expect((await silently(surfer, flooded)).get("error")).toBe("temporarily_unavailable");
    expect((await ledTo(session.id)).length).toBe(5_000);
    await letPass(latchkey, "budgets", tenant.account_id, 3_600);
    expect((await silently(surfer, flooded)).get("code")).toBeTruthy();
  });

  it("who fills it pays: another client's logins, silent or by a new code, end one each and are not refused for it", async () => {
    const { latchkey, tenant, own, standard } = suite();
    const [flooded, another] = [await addOwn("/pays"), await addOwn("/pays-not")];
    const surfer = openSurfer(latchkey);
    const email = await standard.someone();
    const { tokens, session } = await sessionOf(email, surfer);
    const oldest = await addRedeemed(session.id, [flooded.id], 3, Date.now() - DAY);
    const filled = await addRedeemed(session.id, [flooded.id], 5_000 - 4, Date.now() - DAY / 2);
    expect((await silently(surfer, flooded)).get("code")).toBeTruthy();
    await addRedeemed(session.id, [flooded.id], 99, Date.now() - DAY / 3);
    await count("session_look", session.id, 30);
    await count("session_room", session.id, 1_000);
    expect((await silently(surfer, flooded)).get("error")).toBe("temporarily_unavailable");
    const sizes = pages();
    expect((await silently(surfer, another)).get("code")).toBeTruthy();
    const shown = await surfer.logIn(standard.address(own, { scope: "openid", prompt: "login" }), tenant, email);
    expect(answered(shown).get("code")).toBeTruthy();
    expect([sizes(), (await ledTo(session.id)).length]).toEqual([[1, 1], 5_000]);
    expect(await staying(session.id, oldest, filled)).toEqual([0, 4_897]);
    expect(await refresh(tokens.refresh_token)).toBe(200);
    expect((await silently(surfer, flooded)).get("error")).toBe("temporarily_unavailable");
  });

  it("another client ends so many an hour, and so do all others together", async () => {
    const { latchkey } = suite();
    const [flooded, looping, another] = [await addOwn("/fills"), await addOwn("/loops"), await addOwn("/beside-both")];
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await suite().standard.someone(), surfer);
    await addRedeemed(session.id, [flooded.id], 5_000 - 1, Date.now() - DAY);
    expect((await silently(surfer, looping)).get("code")).toBeTruthy();
    await count("session_room_client", `${session.id} ${looping.id}`, 100);
    expect((await silently(surfer, looping)).get("error")).toBe("temporarily_unavailable");
    expect((await silently(surfer, another)).get("code")).toBeTruthy();
    expect(await budgetsOf(session.id)).toEqual({ session_room_clients: 2 });
    await count("session_room_clients", session.id, 1_000);
    expect((await silently(surfer, another)).get("error")).toBe("temporarily_unavailable");
    expect((await silently(surfer, flooded)).get("code"), "who fills it has a budget of its own").toBeTruthy();
  });

  it("clients that hold as much as each other fill it together, and end what they hold at their cost", async () => {
    const { latchkey } = suite();
    const clients = [await addOwn("/one"), await addOwn("/two")] as const;
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await suite().standard.someone(), surfer);
    const [one, two] = clients.map(({ id }) => id);
    await addRedeemed(session.id, [one ?? ""], 2_500, Date.now() - DAY);
    await addRedeemed(session.id, [two ?? ""], 2_500 - 2, Date.now() - DAY / 2);
    expect((await silently(surfer, clients[1])).get("code"), "there is room").toBeTruthy();
    expect((await silently(surfer, clients[1])).get("code")).toBeTruthy();
    expect(await budgetsOf(session.id)).toEqual({ session_look: 1, session_room: 100 });
  });

  it("a code keeps its minute, however full its session is", async () => {
    const { latchkey, own, standard } = suite();
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await standard.someone(), surfer);
    const young = await addLed(session.id, [own.id], 5_000 - 1);
    const sizes = pages();
    for (let n = 0; n < 31; n++) expect((await silently(surfer)).get("error")).toBe("temporarily_unavailable");
    expect([await staying(session.id, young), sizes()]).toEqual([[4_999], []]);
    const created_at = new Date(Date.now() - DAY).toISOString();
    await core().storage.write(({ db }) =>
      db.updateTable("session_authorizations").set({ created_at }).where("session_id", "=", session.id).execute(),
    );
    expect((await silently(surfer)).get("error"), "looked for so often a minute").toBe("temporarily_unavailable");
    await letPass(suite().latchkey, "budgets", suite().tenant.account_id, 60);
    expect((await silently(surfer)).get("code")).toBeTruthy();
  });

  it("many who make room at once take no more than is needed, and nothing of another client", async () => {
    const { latchkey, standard } = suite();
    const [flooded, another] = [await addOwn("/at-once"), await addOwn("/beside")];
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await standard.someone(), surfer);
    const few = await addRedeemed(session.id, [another.id], 6, Date.now() - 3 * DAY);
    // The first of them finds room for one alone, which the next may take from it.
    await addLed(session.id, [flooded.id], 1, Date.now() - 2 * DAY);
    await addRedeemed(session.id, [flooded.id], 5_000 - 8, Date.now() - DAY);
    const answers = await Promise.all(Array.from({ length: 120 }, () => silently(surfer, flooded)));
    expect(answers.filter((answer) => answer.get("code") === null).map(String)).toEqual([]);
    expect((await ledTo(session.id)).length).toBeGreaterThan(4_800);
    expect(await staying(session.id, few)).toEqual([6]);
  });

  it("as many as there is need of end for others who come at once, one for each", async () => {
    const { latchkey, standard } = suite();
    const others = await Promise.all(Array.from({ length: 8 }, (_, n) => addOwn(`/other-${n}`)));
    const flooded = await addOwn("/beside-others");
    const surfer = openSurfer(latchkey);
    const { session } = await sessionOf(await standard.someone(), surfer);
    const filled = await addRedeemed(session.id, [flooded.id], 5_000 - 1, Date.now() - DAY);
    const asked = [...others, ...others].map((client) => silently(surfer, client));
    const refused = (await Promise.all(asked)).filter((answer) => answer.get("code") === null);
    expect(refused.map(String)).toEqual([]);
    expect(await staying(session.id, filled)).toEqual([4_999 - 16]);
    expect([(await ledTo(session.id)).length, unknownOf(filled)]).toEqual([5_000, 4_999 - 16]);
  });

  it("makes no room by what goes on where its person's other logins ended, nor by the newest of a client", async () => {
    const { tenant, own, standard } = suite();
    const { session, user_id } = await sessionOf(await standard.someone(), openSurfer(suite().latchkey));
    const { storage, directory } = core();
    const { account_id } = tenant;
    const fill = async (id: string, clients: readonly string[]) => {
      await storage.write(({ db }) =>
        db
          .insertInto("sessions")
          .values({ ...session, id })
          .execute(),
      );
      return addLed(id, clients, 5_000, Date.now() - DAY);
    };
    const makeRoomIn = (session_id: string) =>
      storage.write((tx) =>
        makeRoom(tx, directory.revocations, { account_id, session_id, client_id: own.id }, storage.now()),
      );
    const going = await fill(`${session.id}-going`, [own.id]);
    const logins_ended_at = new Date(storage.now()).toISOString();
    const ended = { logins_ended_at, logins_ended_but: `${logins_ended_at} ${going[0]}` };
    await storage.write(({ db }) =>
      db.updateTable("users").set(ended).where("account_id", "=", account_id).where("id", "=", user_id).execute(),
    );
    expect(await makeRoomIn(`${session.id}-going`)).toBe(true);
    expect(await staying(`${session.id}-going`, going, going.slice(0, 1))).toEqual([4_900, 1]);
    const clients = Array.from({ length: 5_000 }, (_, n) => `client-${n}`);
    const each = await fill(`${session.id}-each`, clients);
    expect([await makeRoomIn(`${session.id}-each`), await staying(`${session.id}-each`, each)]).toEqual([
      false,
      [5_000],
    ]);
  });
});

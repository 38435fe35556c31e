/** Binding codes: whoever holds one of a person's two factors has so many sent, and keeps nobody else from theirs. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, inbox, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { addPerson, PASSWORD, QUICK_HASH, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { letCodesRest } from "../support/time.ts";
import { countSubjects } from "../support/used-up.ts";

describeOnBothEngines("binding codes", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  const addGuarded = ({ account_id }: Tenant) =>
    addPerson(scene.latchkey, account_id, { factors: ["sms"], hash: QUICK_HASH });
  /** A login of its own, at which so many are asked for. */
  const ask = async (own: Tenant, username: string, times: number, ip?: string) => {
    const first = { grant_type: "password", username, password: PASSWORD, audience: own.audience };
    const json = { challenge_type: "oob", mfa_token: (await token(own, first)).body.mfa_token };
    const headers = ip ? { "end-user-ip": ip } : {};
    const answers: unknown[] = [];
    for (let n = 0; n < times; n++)
      answers.push(
        code(await call(`${own.base}/auth/mfa/challenge`, { method: "POST", token: own.token, headers, json })),
      );
    return answers;
  };
  const newest = async (to: string) => (await inbox(scene.tenant, to))[0]?.verification_code ?? "";
  /** Up to the page that asks for the second factor. */
  const halfwayAt = async (surfer: Surfer, email: string) => {
    const page = await surfer.visit(scene.address(undefined, { prompt: "login" }));
    const waiting = await surfer.act(page, "identify", { identifier: email });
    return surfer.act(waiting, "code", { code: await newest(email) });
  };
  /** … and on to the one that waits for its code. */
  const challengeAt = async (surfer: Surfer, email: string) =>
    surfer.act(await halfwayAt(surfer, email), "challenge", { channel: "sms" });
  const sent = [200, undefined];
  const refused = [429, "too_many_requests"];

  it("are asked for by whoever stole the password five times from where they are, and by the owner elsewhere", async () => {
    const own = await createTenant(scene.latchkey);
    const { email, phone_number } = await addGuarded(own);
    expect(await ask(own, email, 5, "203.0.113.5")).toEqual(Array(5).fill(sent));
    expect(await ask(own, email, 20, "203.0.113.5")).toEqual(Array(20).fill(refused));
    expect(await ask(own, email, 6, "203.0.113.6")).toEqual([...Array(5).fill(sent), refused]);
    expect(await ask(own, email, 6), "from where nothing is known").toEqual([...Array(5).fill(sent), refused]);
    expect(await inbox(own, phone_number)).toHaveLength(15);
  });

  it("are counted by IPv6 site, and leave nothing of whoever asks when all that there are have gone out", async () => {
    const own = await createTenant(scene.latchkey);
    const { email } = await addGuarded(own);
    expect(await ask(own, email, 3, "2001:db8:1:1::1")).toEqual(Array(3).fill(sent));
    expect(await ask(own, email, 3, "2001:db8:1:2::1")).toEqual([sent, sent, refused]);
    expect(await ask(own, email, 1, "2001:db8:2:1::1"), "from another site").toEqual([sent]);
    const { storage } = scene.latchkey.server.core;
    await storage.write(({ db }) =>
      db
        .updateTable("budgets")
        .set({ count: 30 })
        .where("account_id", "=", own.account_id)
        .where("budget", "=", "factor_send_all")
        .execute(),
    );
    const before = await countSubjects(storage, own, "factor_send");
    for (const site of [3, 4, 5]) expect(await ask(own, email, 1, `2001:db8:${site}:1::1`)).toEqual([refused]);
    expect(await countSubjects(storage, own, "factor_send")).toBe(before);
  });

  it("come to the browser that knows the person, however many from elsewhere have used up", async () => {
    const { latchkey, tenant } = scene;
    const { account_id } = tenant;
    const { email, phone_number } = await addGuarded(tenant);
    const challenge = (surfer: Surfer) => challengeAt(surfer, email);
    const finish = async (surfer: Surfer) => {
      const asked = await challenge(surfer);
      return answered(await surfer.act(asked, "factor", { code: await newest(phone_number) })).get("code");
    };
    const person = openSurfer(latchkey);
    expect(await finish(person)).toBeTruthy();
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db
        .updateTable("budgets")
        .set({ count: 30 })
        .where("account_id", "=", account_id)
        .where("budget", "=", "factor_send_all")
        .execute(),
    );
    const before = (await inbox(tenant, phone_number)).length;
    expect((await challenge(openSurfer(latchkey, { "x-forwarded-for": "203.0.113.5" }))).html).toContain(
      "Too many requests.",
    );
    expect(await ask(tenant, email, 1, "203.0.113.7")).toEqual([refused]);
    expect(await inbox(tenant, phone_number)).toHaveLength(before);
    expect(await finish(person)).toBeTruthy();
  });

  it("come once to who asks for one twice, say where to, and come again later or where something went wrong", async () => {
    const { latchkey, tenant } = scene;
    const { email, phone_number } = await addGuarded(tenant);
    const surfer = openSurfer(latchkey);
    const asked = await challengeAt(surfer, email);
    expect(asked.html).toContain(`A code is on its way to ••• ${phone_number.slice(-2)}.`);
    expect(asked.html).not.toContain(phone_number);
    expect(asked.html).not.toContain('role="status"');
    const first = await newest(phone_number);
    const twice = await surfer.act(asked, "challenge", { channel: "sms" });
    expect(twice.html).toMatch(/role="status"[^>]*>You asked for it once more/);
    expect([await newest(phone_number), (await inbox(tenant, phone_number)).length]).toEqual([first, 1]);
    await letCodesRest(latchkey, tenant.account_id, 31);
    const later = await surfer.act(twice, "challenge", { channel: "sms" });
    expect(later.html).toMatch(/role="status"[^>]*>You asked for it once more/);
    expect((await inbox(tenant, phone_number)).length).toBe(2);
    const wrong = await surfer.act(later, "factor", { code: first === "000000" ? "000001" : "000000" });
    await surfer.act(wrong, "challenge", { channel: "sms" });
    expect((await inbox(tenant, phone_number)).length, "at once").toBe(3);
    const done = await surfer.act(wrong, "factor", { code: await newest(phone_number) });
    expect(answered(done).get("code")).toBeTruthy();
  });

  it("come once to who presses several times at once, at whichever process, and are asked for once", async () => {
    const { latchkey, tenant } = scene;
    const { config, database } = latchkey;
    const { id, email, phone_number } = await addGuarded(tenant);
    const surfer = openSurfer(latchkey);
    const halfway = await halfwayAt(surfer, email);
    const processes: Latchkey[] = [latchkey];
    if (engine === "postgres")
      processes.push({ ...(await startLatchkey(engine, { database, public_url: config.public_url })), config });
    const press = (at: Latchkey) => {
      const one = openSurfer(at);
      for (const [name, value] of surfer.jar) one.jar.set(name, value);
      return one.act(halfway, "challenge", { channel: "sms" });
    };
    for (const messages of [1, 2]) {
      const shown = await Promise.all([...processes, ...processes, ...processes, ...processes].map(press));
      for (const { html } of shown) expect(html).toContain(`A code is on its way to ••• ${phone_number.slice(-2)}.`);
      expect(await inbox(tenant, phone_number)).toHaveLength(messages);
      await letCodesRest(latchkey, tenant.account_id, 31);
    }
    const { read } = latchkey.server.core.storage;
    const of_person = read
      .selectFrom("budgets")
      .select("count")
      .where("budget", "in", ["factor_send", "factor_send_all"]);
    const counts = await of_person.where("subject", "like", `${id}%`).execute();
    expect(counts.map(({ count }) => Number(count))).toEqual([2, 2]);
    const done = await surfer.act(await surfer.visit(halfway.url), "factor", { code: await newest(phone_number) });
    expect(answered(done).get("code")).toBeTruthy();
    for (const other of processes.slice(1)) await other.stop();
  });
});

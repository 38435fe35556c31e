/** Guesses at passwords and second factors: what closes a way in, for how long, and what opens it again. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { sweepsOf } from "../../src/start-server.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, logInAccountUser, PASSWORD, QUICK_HASH, setPassword, token } from "../support/people.ts";
import { letPass } from "../support/time.ts";
import { wrongGuesses } from "../support/verification.ts";

describeOnBothEngines("closings", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const about = ({ audience }: Tenant, username: string) => ({ grant_type: "password", username, audience });
  /** The right password, and a binding code under way: what to guess with, and what is right. */
  const showPassword = async (own: Tenant, user: { readonly email: string; readonly phone_number: string }) =>
    guesser(own, await token(own, { ...about(own, user.email), password: PASSWORD }), user.phone_number);
  const guesser = async (own: Tenant, first: Reply, phone_number: string) => {
    expect(first.body.error?.code, first.text).toBe("mfa_required");
    const { mfa_token } = first.body;
    const json = { challenge_type: "oob", mfa_token };
    const { oob_code } = (await call(`${own.base}/auth/mfa/challenge`, { method: "POST", token: own.token, json }))
      .body;
    const right = (await inbox(own, phone_number))[0]?.verification_code ?? "";
    const guess = (binding_code: string) => token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
    return { right, guess };
  };
  /** Hours until the person's password is compared again. */
  const closedFor = async (own: Tenant, username: string) => {
    const refused = await token(own, { ...about(own, username), password: PASSWORD });
    expect(refused.body.error?.code, refused.text).toBe("too_many_attempts");
    const seconds = Number(refused.headers.get("retry-after"));
    await letPass(latchkey, "budgets", own.account_id, seconds + 1);
    return Math.ceil(seconds / 3_600);
  };
  /** As the janitor would by now. */
  const sweep = async () => {
    const { core } = latchkey.server;
    for (const one of sweepsOf(core).filter(({ name }) => name.endsWith("budgets"))) await one.sweep(core.storage, 100);
  };

  it("of a second factor get longer until it is shown, however often the password before it is", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 3 } });
    const user = await addPerson(latchkey, own.account_id, { factors: ["sms"], hash: QUICK_HASH });
    const hours: number[] = [];
    for (let window = 0; window < 3; window++) {
      const { right, guess } = await showPassword(own, user);
      const [first = "", second = "", third = ""] = wrongGuesses(right, 3);
      for (const wrong of [first, second]) expect((await guess(wrong)).status).toBe(400);
      // Would be the last of this window, were it no right one: it closes nothing.
      await showPassword(own, user);
      expect((await guess(third)).status).toBe(400);
      hours.push(await closedFor(own, user.email));
    }
    expect(hours).toEqual([1, 2, 4]);
    const { right, guess } = await showPassword(own, user);
    expect((await guess(right)).status).toBe(200);
    await letPass(latchkey, "budgets", own.account_id, 8 * 3_600);
    for (let n = 0; n < 3; n++)
      expect((await token(own, { ...about(own, user.email), password: "wrong password" })).status).toBe(400);
    expect(await closedFor(own, user.email), "begins anew").toBe(1);
    await showPassword(own, user);
  });

  it("come of wrong ones in a row, however slowly", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 3 } });
    const { email } = await addPerson(latchkey, own.account_id, { hash: QUICK_HASH });
    const show = async (password: string) => (await token(own, { ...about(own, email), password })).status;
    const wait = (hours: number) => letPass(latchkey, "budgets", own.account_id, hours * 3_600);
    for (const hours of [1, 2]) {
      for (const late of [48, 48, 0]) {
        expect(await show("wrong password")).toBe(400);
        await wait(late);
        await sweep();
      }
      expect(await closedFor(own, email)).toBe(hours);
    }
    for (let n = 0; n < 2; n++) expect(await show("wrong password")).toBe(400);
    expect(await show(PASSWORD)).toBe(200);
    expect(await show("wrong password"), "what is wrong in one window stays").toBe(400);
    expect(await closedFor(own, email)).toBe(4);
    for (let window = 0; window < 2; window++) {
      for (let n = 0; n < 2; n++) expect(await show("wrong password")).toBe(400);
      expect(await show(PASSWORD), "what was before a success does not").toBe(200);
      await wait(48);
    }
  });

  it("come of no right password, though the second factor behind it was never shown", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 3 } });
    const { email } = await addPerson(latchkey, own.account_id, { factors: ["sms"], hash: QUICK_HASH });
    const show = async (password: string) => (await token(own, { ...about(own, email), password })).status;
    for (let n = 0; n < 2; n++) {
      expect(await show(PASSWORD)).toBe(403);
      await letPass(latchkey, "budgets", own.account_id, 48 * 3_600);
    }
    for (const status of [400, 400, 400, 429]) expect(await show("wrong password")).toBe(status);
  });

  it("are forgotten a week after wrong ones that made none, and whether anybody is called so", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 3 } });
    const { email } = await addPerson(latchkey, own.account_id, { hash: QUICK_HASH });
    const closed = await addPerson(latchkey, own.account_id, { hash: QUICK_HASH });
    const names = [email, "nobody@example.com", "nobody"];
    const guess = async (username: string, count: number) => {
      for (let n = 0; n < count; n++)
        expect((await token(own, { ...about(own, username), password: "wrong password" })).status).toBe(400);
    };
    const rows = async () => {
      const budgets = latchkey.server.core.storage.read.selectFrom("budgets").select("subject");
      return (await budgets.where("account_id", "=", own.account_id).where("failures", ">", 0).execute()).length;
    };
    await guess(closed.email, 3);
    for (const name of names) await guess(name, 2);
    for (const [days, left] of [
      [6, 4],
      [2, 1],
    ] as const) {
      await letPass(latchkey, "budgets", own.account_id, days * 24 * 3_600);
      await sweep();
      expect(await rows(), `after ${days} more days`).toBe(left);
    }
    for (const name of names) {
      await guess(name, 3);
      expect(await closedFor(own, name)).toBe(1);
    }
    await guess(closed.email, 3);
    expect(await closedFor(own, closed.email), "what closed is remembered").toBe(2);
  });

  it("of a recovery get longer until both of its channels are shown, however often whoever has one shows that", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 3 } });
    const { email, phone_number } = await addPerson(latchkey, own.account_id, { hash: QUICK_HASH });
    const challenge = { challenge_type: "oob", audience: own.audience };
    const send = (path: string, json: object) =>
      call(`${own.base}/auth/mfa/${path}`, { method: "POST", token: own.token, json: { ...challenge, ...json } });
    const begin = async (oob_channel: "sms" | "email") =>
      (await send("recovery", { oob_channel, username: email })).body;
    const enter = ({ mfa_token, oob_code }: { mfa_token: string; oob_code: string }, binding_code: string) =>
      token(own, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code });
    const codeAt = async (to: string) => (await inbox(own, to))[0]?.verification_code ?? "";
    const showPhone = async () => {
      const shown = await enter(await begin("sms"), await codeAt(phone_number));
      expect(shown.body.error?.code, shown.text).toBe("mfa_required");
      return shown.body.mfa_token as string;
    };
    const closeMail = async () => {
      const mailed = await begin("email");
      for (const wrong of wrongGuesses(await codeAt(email), 3)) expect((await enter(mailed, wrong)).status).toBe(400);
      const refused = await enter(mailed, await codeAt(email));
      expect(refused.status, refused.text).toBe(429);
      const seconds = Number(refused.headers.get("retry-after"));
      await letPass(latchkey, "budgets", own.account_id, seconds + 1);
      return Math.ceil(seconds / 3_600);
    };
    const hours: number[] = [];
    for (let window = 0; window < 3; window++) {
      await showPhone();
      hours.push(await closeMail());
    }
    expect(hours).toEqual([1, 2, 4]);
    const mfa_token = await showPhone();
    const { oob_code } = (await send("challenge", { mfa_token, oob_channel: "email" })).body;
    const done = await enter({ mfa_token, oob_code }, await codeAt(email));
    expect(done.status, done.text).toBe(200);
    await letPass(latchkey, "budgets", own.account_id, 8 * 3_600);
    expect(await closeMail(), "begins anew").toBe(1);
  });

  /** Somebody of two factors, who shows a code from their phone, and whose codes there are guessed at until they close. */
  async function personByCodes(own: Tenant) {
    const { phone_number, email } = await addPerson(latchkey, own.account_id, {
      factors: ["sms", "email"],
      hash: QUICK_HASH,
    });
    const enter = (verification_code: string) => {
      const named = { ident_type: "phone_number", ident: phone_number, audience: own.audience };
      return token(own, { grant_type: "authorization_code", verification_code, ...named });
    };
    const showCode = async () => enter(await receiveCode(own, { connection: "sms", phone_number }));
    /** @returns for how many hours. */
    const close = async () => {
      for (const wrong of wrongGuesses("", 3)) expect((await enter(wrong)).status).toBe(400);
      const refused = await enter("000000");
      expect(refused.status, refused.text).toBe(429);
      const seconds = Number(refused.headers.get("retry-after"));
      await letPass(latchkey, "budgets", own.account_id, seconds + 1);
      return Math.ceil(seconds / 3_600);
    };
    return { email, showCode, close };
  }

  it("of login codes get longer until the second factor behind them is shown, whoever has one of the channels", async () => {
    const settings = { numeric_guess_limit: 3 };
    const own = await createTenant(latchkey, { settings, client: { code_format: "numeric" } });
    const { email, showCode, close } = await personByCodes(own);
    const showPhone = async () => {
      const shown = await showCode();
      expect(shown.body.error?.code, shown.text).toBe("mfa_required");
      return shown.body.mfa_token as string;
    };
    const hours: number[] = [];
    for (let window = 0; window < 3; window++) {
      await showPhone();
      hours.push(await close());
    }
    expect(hours).toEqual([1, 2, 4]);
    const mfa_token = await showPhone();
    const json = { challenge_type: "oob", mfa_token, oob_channel: "email" };
    const asked = await call(`${own.base}/auth/mfa/challenge`, { method: "POST", token: own.token, json });
    const [mail] = await inbox(own, email);
    const binding = { oob_code: asked.body.oob_code, binding_code: mail?.verification_code };
    const done = await token(own, { grant_type: "mfa_oob", mfa_token, ...binding });
    expect(done.status, done.text).toBe(200);
    expect(await close(), "begins anew").toBe(1);
  });

  it("of login codes begin anew with a right one where its client asks nobody for a second factor", async () => {
    const settings = { numeric_guess_limit: 3 };
    const scope = ["admin:accounts", "write:accounts:/auth/users/no-mfa"];
    const own = await createTenant(latchkey, { settings, scope, client: { code_format: "numeric" } });
    const { showCode, close } = await personByCodes(own);
    const hours: number[] = [];
    for (let window = 0; window < 3; window++) {
      const shown = await showCode();
      expect(shown.status, shown.text).toBe(200);
      hours.push(await close());
    }
    expect(hours).toEqual([1, 1, 1]);
  });

  const CHOSEN = "a new battery";
  const guesses = async (own: Tenant, username: string, bearer = own.token, audience = own.audience) => {
    const guess = () => token(own, { grant_type: "password", username, password: "wrong password", audience }, bearer);
    for (const status of [400, 400, 429]) expect((await guess()).status).toBe(status);
  };
  const resetByMail = async (own: Tenant, email: string) => {
    const send = (json: object) =>
      call(`${own.base}/customers/change_password`, { method: "POST", token: own.token, json });
    const customer = { email, audience: own.audience, type: "customer" };
    expect((await send(customer)).status).toBe(204);
    const verification_code = (await inbox(own, email))[0]?.verification_code;
    const reset = await send({ ...customer, verification_code, password: CHOSEN });
    expect(reset.status, reset.text).toBe(204);
  };

  it("that wrong passwords made end with the password that was guessed at, where no second factor is behind it", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 2 } });
    const user = await addPerson(latchkey, own.account_id, { hash: QUICK_HASH });
    await guesses(own, user.email);
    await resetByMail(own, user.email);
    expect((await token(own, { ...about(own, user.email), password: CHOSEN })).status).toBe(200);
    await guesses(own, user.email);
    expect(await closedFor(own, user.email), "begins anew").toBe(1);
    const guarded = await addPerson(latchkey, own.account_id, { factors: ["sms"], hash: QUICK_HASH });
    await guesses(own, guarded.email);
    await resetByMail(own, guarded.email);
    const refused = await token(own, { ...about(own, guarded.email), password: CHOSEN });
    expect(refused.status, "or whoever reads their mail would guess at it for ever").toBe(429);
  });

  it("end where a user name is given another password", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 2 } });
    const set = (method: string, path: string, json: object) =>
      call(`${own.base}/auth/users${path}`, { method, token: own.token, json });
    const made = await set("POST", "", { username: "grace", password: PASSWORD });
    expect(made.status, made.text).toBe(200);
    await guesses(own, "grace");
    const changed = await set("PUT", "/grace", { password: CHOSEN });
    expect(changed.status, changed.text).toBe(200);
    expect((await token(own, { ...about(own, "grace"), password: CHOSEN })).status).toBe(200);
    const { id, email } = await addPerson(latchkey, own.account_id, { hash: QUICK_HASH });
    await guesses(own, email);
    const links = [{ rel: "customers_user", href: `https://shop.example/users/${id}` }];
    const named = await set("POST", "", { username: "ada", password: CHOSEN, links });
    expect(named.status, named.text).toBe(200);
    expect((await token(own, { ...about(own, email), password: CHOSEN })).status, "a first one too").toBe(200);
  });

  it("of a second factor behind a code end where a user name sets where binding codes go", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 2 } });
    const { id, email, phone_number } = await addPerson(latchkey, own.account_id, {
      factors: ["sms"],
      hash: QUICK_HASH,
    });
    const showCode = async () => {
      const verification_code = await receiveCode(own, { email });
      const named = { ident_type: "email", ident: email, audience: own.audience };
      const first = await token(own, { grant_type: "authorization_code", verification_code, ...named });
      return guesser(own, first, phone_number);
    };
    const { right, guess } = await showCode();
    for (const wrong of wrongGuesses(right, 2)) expect((await guess(wrong)).status).toBe(400);
    expect((await guess(right)).status).toBe(429);
    const links = [
      { rel: "customers_user", href: `https://shop.example/users/${id}` },
      { rel: "phone_number", href: `tel:${phone_number}` },
    ];
    const json = { username: "barbara", password: CHOSEN, links, mfa: { challenge_type: "oob" } };
    const made = await call(`${own.base}/auth/users`, { method: "POST", token: own.token, json });
    expect(made.status, made.text).toBe(200);
    const again = await showCode();
    expect((await again.guess(again.right)).status).toBe(200);
  });

  it("that a stranger makes keep nobody who is logged in from changing their password, which ends them", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 2 } });
    const me = await logInAccountUser(latchkey, own);
    await setPassword(latchkey, own.account_id, me.id, PASSWORD, QUICK_HASH);
    const client = await addClient(latchkey, own.account_id, { first_party: true, user_type: "account_user" });
    await addGrant(latchkey, own.account_id, client, own.issuer, ["openid", "admin:accounts"]);
    const bearer = await tokenOf(latchkey, own.account_id, client);
    await guesses(own, me.email, bearer, own.issuer);
    const change = (previous_password: string) =>
      call(`${latchkey.url}/v1/account/user/password`, {
        method: "POST",
        token: me.token,
        json: { previous_password, proposed_password: CHOSEN },
      });
    const done = await change(PASSWORD);
    expect(done.status, done.text).toBe(201);
    const login = { grant_type: "password", username: me.email, password: CHOSEN, audience: own.issuer };
    expect((await token(own, login, bearer)).status).toBe(200);
    for (const status of [400, 400, 429]) expect((await change("wrong password")).status).toBe(status);
    expect((await token(own, login, bearer)).status, "which closes nothing else").toBe(200);
  });
});

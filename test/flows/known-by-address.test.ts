/** Whoever only knows a person's address: what they try closes nothing to the person, and is bounded itself. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { until } from "../support/smtp.ts";
import { wrongGuesses } from "../support/verification.ts";

describeOnBothEngines("whoever only knows an address", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const post = (path: string, json: object) =>
    call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, json });
  const newest = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";
  const person = () => addPerson(latchkey, tenant.account_id, { factors: ["sms", "email"] });
  const logIn = (username: string, password: string) =>
    token(tenant, { grant_type: "password", username, password, audience: tenant.audience });
  const recover = (username: string, oob_channel = "sms") =>
    post("/auth/mfa/recovery", { challenge_type: "oob", username, audience: tenant.audience, oob_channel });
  const challenge = (mfa_token: string, oob_channel?: string) =>
    post("/auth/mfa/challenge", { challenge_type: "oob", mfa_token, ...(oob_channel ? { oob_channel } : {}) });
  const finish = (fields: object) => token(tenant, { grant_type: "mfa_oob", ...fields });
  /** The person logs in with a mailed code, and is asked for the other channel. */
  const begin = async (email: string) => {
    const first = await authorize(tenant, { verification_code: await receiveCode(tenant, { email }) });
    expect(code(first)).toEqual([403, "mfa_required"]);
    return first.body.mfa_token as string;
  };
  const comesIn = async ({ email, phone_number }: { readonly email: string; readonly phone_number: string }) => {
    const mfa_token = await begin(email);
    const asked = await challenge(mfa_token);
    expect(asked.status, asked.text).toBe(200);
    const binding_code = await newest(phone_number);
    const done = await authorize(tenant, { mfa_token, oob_code: asked.body.oob_code, binding_code });
    expect(done.status, done.text).toBe(302);
  };
  const closed = [429, "too_many_attempts"];

  it("keeps nobody from their password by a user name that is their address or number, and gets nothing by it", async () => {
    const victim = await person();
    const plain = await addPerson(latchkey, tenant.account_id);
    const mine = "the other's battery";
    const subjectOf = ({ body, text, status }: Reply) => {
      expect(status, text).toBe(200);
      return claimsOf(body.access_token).sub;
    };
    for (const username of [victim.email, plain.email.toUpperCase(), plain.phone_number])
      expect((await post("/auth/users", { username, password: mine })).status, username).toBe(200);
    for (const username of [plain.email, plain.email.toUpperCase()]) {
      expect(subjectOf(await logIn(username, PASSWORD)), username).toBe(plain.id);
      expect(code(await logIn(username, mine)), username).toEqual([400, "invalid_grant"]);
    }
    const by_number = {
      audience: tenant.audience,
      type: "customer",
      ident_type: "phone_number",
      ident: plain.phone_number,
    };
    expect(subjectOf(await post("/customers/login", { ...by_number, password: PASSWORD }))).toBe(plain.id);
    expect(code(await post("/customers/login", { ...by_number, password: mine }))).toEqual([400, "invalid_grant"]);
    expect(subjectOf(await logIn(plain.phone_number, mine)), "a name like any other").not.toBe(plain.id);
    expect((await recover(victim.email)).status).toBe(200);
    expect(await newest(victim.phone_number), "recovery reaches whose address it is").not.toBe("");
  });

  it("leaves a user name to whom it was given while the owner of that address has no password", async () => {
    const username = tenant.user.email;
    expect((await post("/auth/users", { username, password: PASSWORD })).status).toBe(200);
    const { body, status } = await logIn(username, PASSWORD);
    expect([status, claimsOf(body.access_token).sub === tenant.user.id]).toEqual([200, false]);
  });

  it("closes the password, and neither a code with its second factor nor the way to recover", async () => {
    const victim = await person();
    const closes = async () => (await logIn(victim.email, "wrong password")).status === 429;
    await until("the password to close", closes, 120_000);
    expect(code(await logIn(victim.email, PASSWORD))).toEqual(closed);
    await comesIn(victim);
    const begun = (await recover(victim.email)).body;
    const sms = await newest(victim.phone_number);
    const half = await finish({ mfa_token: begun.mfa_token, oob_code: begun.oob_code, binding_code: sms });
    expect(code(half)).toEqual([403, "mfa_required"]);
    const { oob_code } = (await challenge(half.body.mfa_token)).body;
    const binding_code = await newest(victim.email);
    expect((await finish({ mfa_token: half.body.mfa_token, oob_code, binding_code })).status).toBe(200);
  });

  it("closes recovery by wrong guesses, and nothing else", async () => {
    const victim = await person();
    const { mfa_token, oob_code } = (await recover(victim.email)).body;
    const right = await newest(victim.phone_number);
    const guesses = wrongGuesses(right, 11).map((binding_code) => finish({ mfa_token, oob_code, binding_code }));
    const answers = (await Promise.all(guesses)).map(({ status }) => status);
    expect(answers.toSorted()).toEqual([...Array(10).fill(400), 429]);
    expect(code(await finish({ mfa_token, oob_code, binding_code: right }))).toEqual(closed);
    await comesIn(victim);
    const first = await logIn(victim.email, PASSWORD);
    const asked = (await challenge(first.body.mfa_token)).body;
    const binding_code = await newest(victim.phone_number);
    const { body } = first;
    expect((await finish({ mfa_token: body.mfa_token, oob_code: asked.oob_code, binding_code })).status).toBe(200);
  });

  it("spends no message of the person's by recovering in their name, however often", async () => {
    const victim = await person();
    for (let n = 0; n < 7; n++) expect((await recover(victim.email)).status).toBe(200);
    await comesIn(victim);
  });

  it("is stopped after ten guesses at a second factor, also behind a code that was right", async () => {
    const victim = await person();
    const mfa_token = await begin(victim.email);
    const { oob_code } = (await challenge(mfa_token)).body;
    const right = await newest(victim.phone_number);
    const present = (binding_code: string) => authorize(tenant, { mfa_token, oob_code, binding_code });
    const answers = await Promise.all(wrongGuesses(right, 15).map(present));
    expect(answers.map(({ status }) => status).toSorted()).toEqual([...Array(10).fill(400), ...Array(5).fill(429)]);
    expect(code(await present(right))).toEqual(closed);
    expect(code(await logIn(victim.email, PASSWORD)), "the password is another way").toEqual([403, "mfa_required"]);
  });
});

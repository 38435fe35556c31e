/** Guesses at passwords and second factors: what closes a way in, for how long, and what opens it again. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { call, createTenant, inbox, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
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
  const showPassword = async (own: Tenant, user: { readonly email: string; readonly phone_number: string }) => {
    const first = await token(own, { ...about(own, user.email), password: PASSWORD });
    expect(first.body.error?.code, first.text).toBe("mfa_required");
    const { mfa_token } = first.body;
    const json = { challenge_type: "oob", mfa_token };
    const { oob_code } = (await call(`${own.base}/auth/mfa/challenge`, { method: "POST", token: own.token, json }))
      .body;
    const right = (await inbox(own, user.phone_number))[0]?.verification_code ?? "";
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

  it("of a second factor get longer until it is shown, however often the password before it is", async () => {
    const own = await createTenant(latchkey, { settings: { factor_guess_limit: 3 } });
    const user = await addPerson(latchkey, own.account_id, { factors: ["sms"] });
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
});

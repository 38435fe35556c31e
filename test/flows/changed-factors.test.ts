/** Factors of account users: what ends where one is switched on. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  call,
  createTenant,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addAccountUser, logInByMail, oneTimePassword } from "../support/people.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const code = (reply: Reply) => [reply.status, reply.body?.error?.code];

describeOnBothEngines("a factor of an account user", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  /** Below `/v1/account/user`. */
  const mine = (method: string, path: string, bearer: string, json?: object) =>
    call(`${latchkey.url}/v1/account/user${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const addTotp = async (bearer: string) => {
    const { secret } = (await mine("POST", "/mfa/totp", bearer)).body;
    return mine("PUT", "/mfa/totp", bearer, { otp: oneTimePassword(secret) });
  };

  it.each(["totp", "sms"])(
    "ends, once it is switched on, the logins that have not shown it, save its own (%s)",
    async (kind) => {
      const me = await addAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
      const json = { grant_types: ["authorization_code", "refresh_token"], refresh_without_offline_access: true };
      await call(`${tenant.base}/auth/clients/${me.client.id}`, { method: "PATCH", token: tenant.token, json });
      const standard = standardClient(latchkey, tenant, me.client);
      const thief = openSurfer(latchkey);
      const shown = await thief.logIn(standard.address(me.client, { resource: tenant.issuer }), tenant, me.email);
      const { access_token, refresh_token } = (await standard.redeem(answered(shown).get("code") ?? "")).body;
      const own = (await logInByMail(tenant, me.client, me.email)).body.access_token;
      const works = async (bearer: string) => (await call(`${tenant.base}/auth/clients`, { token: bearer })).status;
      expect([await works(access_token), await works(own)]).toEqual([200, 200]);
      const on =
        kind === "totp" ? addTotp(own) : mine("PUT", "/mfa/sms", own, { enabled: true, phone_number: "40112255" });
      expect((await on).status).toBe(201);
      expect([await works(access_token), await works(own)]).toEqual([401, 200]);
      expect(code(await standard.token({ grant_type: "refresh_token", refresh_token }))[0]).toBe(400);
      const silent = await thief.visit(standard.address(me.client, { prompt: "none" }));
      expect(answered(silent).get("error")).toBe("login_required");
    },
  );
});

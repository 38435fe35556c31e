/** Numbers of countries that an account sends no SMS to: who sets one that codes are to go to is told, since none would ever come. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addUser,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { logInAccountUser, PASSWORD, token } from "../support/people.ts";

const SWEDISH = "+46701234567";

describeOnBothEngines("a number of a country that the account sends no SMS to", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const sendTo = (sms_countries: string[]) =>
    changeSettings(latchkey.server.core.directory, tenant.account_id, { sms_countries }, actor);
  const refused = (path: string) => [400, path, "country"];
  const links = (id: string, number: string, email = "ada@example.com") => [
    { rel: "customers_user", href: `https://shop.example/users/${id}` },
    { rel: "phone_number", href: `tel:${number}` },
    { rel: "email", href: `mailto:${email}` },
  ];
  /** Below `auth/users`. */
  const send = async (method: string, path: string, json?: object) => {
    const { status, body } = await call(`${tenant.base}/auth/users${path}`, {
      ...{ method, token: tenant.token, ...(json ? { json: { password: PASSWORD, ...json } } : {}) },
    });
    const { path: at, code } = body?.error?.errors?.[0] ?? {};
    return status === 200 ? [200] : [status, at, code];
  };
  const mfa = { challenge_type: "oob" };
  const mailed = { ...mfa, oob_channels: ["email"] };

  it("is no second factor of one's own", async () => {
    const me = await logInAccountUser(latchkey, tenant);
    const enable = async (phone_number: string) => {
      const json = { enabled: true, phone_number };
      const { status, body } = await call(`${latchkey.url}/v1/account/user/mfa/sms`, {
        ...{ method: "PUT", token: me.token, json },
      });
      const { path, code } = body?.error?.errors?.[0] ?? {};
      return [status, path, code];
    };
    expect(await enable(SWEDISH)).toEqual(refused("phone_number"));
    expect(await enable("+80012345678"), "of no country").toEqual(refused("phone_number"));
    await sendTo(["SE"]);
    expect(await enable("+4740112277")).toEqual(refused("phone_number"));
    expect((await enable(SWEDISH))[0]).toBe(201);
    await sendTo([]);
  });

  it("is where no user name has its codes sent, and no matter of one that has such a number from before", async () => {
    const { id } = await addUser(latchkey, tenant.account_id);
    const abroad = { links: links(id, SWEDISH), mfa: { ...mfa, oob_channels: ["sms"] } };
    expect(await send("POST", "", { username: "ada", ...abroad })).toEqual(refused("links"));
    expect(await send("POST", "", { username: "ada", links: links(id, SWEDISH), mfa: mailed }), "mailed").toEqual([
      200,
    ]);
    expect(await send("PUT", "/ada", { mfa: abroad.mfa })).toEqual(refused("links"));
    expect(await send("PUT", "/ada", abroad)).toEqual(refused("links"));
    await sendTo(["SE", "NO"]);
    expect(await send("PUT", "/ada", abroad)).toEqual([200]);
    await sendTo([]);
    expect(await send("PUT", "/ada", {}), "the password alone").toEqual([200]);
    expect(await send("POST", "", { username: "ada-2", links: links(id, "+4740000077"), mfa })).toEqual([200]);
    expect(await send("PUT", "/ada-2", { mfa: null })).toEqual([200]);
    expect(await send("PUT", "/ada-2", { mfa })).toEqual([200]);
    expect(await send("DELETE", "/ada-2")).toEqual([200]);
    expect(await send("PUT", "/ada", { links: links(id, SWEDISH) })).toEqual(refused("links"));
    expect(
      await send("POST", "", { username: "ada-3", links: links(id, SWEDISH), mfa }),
      "the address will do",
    ).toEqual([200]);
  });

  it.each(["DELETE", "PUT"])(
    "is where no codes go by the user name that is left, beside its address (%s of the other one)",
    async (method) => {
      const { id } = await addUser(latchkey, tenant.account_id);
      const [one, other, email] = [`bea-${method}`, `bea-2-${method}`, `bea-${method}@example.com`.toLowerCase()];
      const own = links(id, SWEDISH, email);
      expect(await send("POST", "", { username: one, links: own, mfa })).toEqual([200]);
      expect(await send("POST", "", { username: other, links: own, mfa: mailed })).toEqual([200]);
      expect(await send(method, `/${other}`, method === "PUT" ? { mfa: null } : undefined)).toEqual([200]);
      const login = { grant_type: "password", username: one, password: PASSWORD, audience: tenant.audience };
      const { mfa_token } = (await token(tenant, login)).body;
      const json = { challenge_type: "oob", mfa_token };
      const asked = await call(`${tenant.base}/auth/mfa/challenge`, { method: "POST", token: tenant.token, json });
      expect(asked.status, asked.text).toBe(200);
      expect(await inbox(tenant, email)).toHaveLength(1);
    },
  );
});

/** A token that was narrowed: nothing that it is exchanged for holds more than it does. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { issuerOf } from "../../src/directory/accounts/account.ts";
import { reveal } from "../../src/secrets/secret.ts";
import { signJws } from "../../src/tokens/jws.ts";
import { signingKey } from "../../src/tokens/keys/find-key.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { addAccountUser, logInByMail, token } from "../support/people.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const scopesOf = (jwt: string): string[] => claimsOf(jwt).scope.split(" ").toSorted();

describeOnBothEngines("a narrowed token", (engine) => {
  let latchkey: Latchkey;
  let partner: Tenant;
  let merchant: Tenant;
  let client: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    partner = await createTenant(latchkey, { account_id: "T22100000" });
    merchant = await createTenant(latchkey, { account_id: "T22100001" });
    client = await addClient(latchkey, partner.account_id, { grant_types: ["client_credentials"] });
    const scope = ["admin:accounts", "read:accounts", "admin:customers"];
    await addGrant(latchkey, partner.account_id, client, partner.issuer, scope, "client_credentials");
  });
  afterAll(() => latchkey.close());

  it("of an account user is exchanged for no wider one, and a whole one for all of it", async () => {
    const scope = ["read:accounts", "admin:customers"];
    const me = await addAccountUser(latchkey, merchant, { scope });
    const exchange = async (bearer: string) => {
      const reply = await token(merchant, { grant_type: "account_user" }, bearer);
      expect(reply.status, reply.text).toBe(200);
      return scopesOf(reply.body.access_token);
    };
    const whole = (await logInByMail(merchant, me.client, me.email)).body.access_token;
    expect(await exchange(whole)).toEqual(["admin:customers", "email", "openid", "profile", "read:accounts"]);
    const standard = standardClient(latchkey, merchant, me.client);
    const asked = standard.address(me.client, { scope: "openid read:accounts", resource: merchant.issuer });
    const shown = await openSurfer(latchkey).logIn(asked, merchant, me.email);
    const { body, text } = await standard.redeem(answered(shown).get("code") ?? "", me.client);
    expect(body.access_token, text).toBeTruthy();
    expect(scopesOf(body.access_token)).toEqual(["openid", "read:accounts"]);
    expect(await exchange(body.access_token)).toEqual(["openid", "read:accounts"]);
  });

  const exchange = async (bearer: string) =>
    (
      await call(`${partner.base}/auth/exchange_token`, {
        method: "POST",
        token: bearer,
        json: { account_id: merchant.account_id },
      })
    ).body.access_token as string;
  const redeem = async (bearer: string) => {
    const json = { grant_type: "client_credentials", audience: merchant.issuer };
    const reply = await call(`${merchant.base}/auth/token`, { method: "POST", token: bearer, json });
    expect(reply.status, reply.text).toBe(200);
    return scopesOf(reply.body.access_token);
  };
  const all = ["admin:accounts", "admin:customers", "read:accounts"];

  it("of a partner leads into no merchant with more, and a whole one with all that its grant gives there", async () => {
    const own = async (scope: string) => {
      const form = { grant_type: "client_credentials", resource: partner.issuer, ...(scope ? { scope } : {}) };
      const headers = { authorization: basic(client) };
      const reply = await call(`${partner.base}/oauth/token`, { method: "POST", headers, form });
      expect(reply.status, reply.text).toBe(200);
      return reply.body.access_token as string;
    };
    expect(await redeem(await exchange(await own("")))).toEqual(all);
    expect(await redeem(await exchange(await own("read:accounts")))).toEqual(["read:accounts"]);
    expect(await redeem(await exchange(await own("admin:accounts")))).toEqual(["admin:accounts", "read:accounts"]);
  });

  it("of a partner has no scope of a grant for the merchant that it does not cover, nor those at home instead", async () => {
    const { account_id, base, issuer } = partner;
    const own = await addClient(latchkey, account_id, { grant_types: ["client_credentials"] });
    await addGrant(latchkey, account_id, own, issuer, ["admin:accounts", "admin:customers"], "client_credentials");
    const there = ["checkout:admin", "read:customers", "read:accounts"];
    await addGrant(latchkey, account_id, own, merchant.issuer, there, "client_credentials");
    const inMerchant = async (scope: string) => {
      const form = { grant_type: "client_credentials", resource: issuer, scope };
      const headers = { authorization: basic(own) };
      const { body } = await call(`${base}/oauth/token`, { method: "POST", headers, form });
      return redeem(await exchange(body.access_token));
    };
    expect(await inMerchant("admin:accounts admin:customers")).toEqual(there.toSorted());
    expect(await inMerchant("admin:accounts")).toEqual(["read:accounts"]);
  });

  it("of a partner that was exchanged before such tokens said so is still taken", async () => {
    const { tokens, storage, directory } = latchkey.server.core;
    const now = Math.floor(storage.now() / 1000);
    const about = {
      iss: partner.issuer,
      sub: client.id,
      aud: `${issuerOf(directory.public_url, merchant.account_id)}/auth/token`,
    };
    const key = await signingKey(tokens, partner.account_id, "ES256", storage.now());
    const signed = await signJws(key, "exchange+jwt", { ...about, iat: now, exp: now + 60, jti: "before" });
    expect(await redeem(reveal(signed))).toEqual(all);
  });
});

/** Devices that wait too long or ask too often, and whose codes somebody guesses at from one address. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { chargeAll } from "../../src/limits/limits.ts";
import { siteSubject } from "../../src/limits/source.ts";
import { deviceSweep } from "../../src/oauth/device/device-code.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

describeOnBothEngines("a device", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1" } });
    tenant = await createTenant(latchkey);
    own = await addClient(latchkey, tenant.account_id, { grant_types: [DEVICE], first_party: true });
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(() => latchkey.close());

  const begin = async () => {
    const headers = { authorization: basic(own) };
    const asking = { method: "POST", headers, form: { scope: "openid" } };
    return (await call(`${tenant.base}/oauth/device_authorization`, asking)).body;
  };
  const poll = async (device_code: string) => {
    const { status, body } = await standard.token({ grant_type: DEVICE, device_code });
    return body.error ?? status;
  };
  const wait = (seconds: number) => letPass(latchkey, "device_codes", tenant.account_id, seconds);
  const type = (surfer: Surfer, user_code: string) => surfer.visit(`${tenant.issuer}/device`, { user_code });
  /** Up to the question whether the device may. */
  const ask = async (user_code: string) => {
    const surfer = openSurfer(latchkey);
    const email = await standard.someone();
    const waiting = await surfer.act(await type(surfer, user_code), "identify", { identifier: email });
    const code = (await inbox(tenant, email))[0]?.verification_code ?? "";
    return { surfer, asked: await surfer.act(waiting, "code", { code }) };
  };

  it("is told that its codes have expired, after ten minutes, and nobody can enter one any more", async () => {
    const { device_code, user_code, expires_in } = await begin();
    expect(expires_in).toBe(600);
    await wait(500);
    expect(await poll(device_code)).toBe("authorization_pending");
    await wait(100);
    expect(await poll(device_code)).toBe("expired_token");
    expect((await type(openSurfer(latchkey), user_code)).html).toContain("No device is waiting for that code");
  });

  it("hears for an hour more that its codes have expired, or that it was refused, however often is swept", async () => {
    const sweep = () => deviceSweep.sweep(latchkey.server.core.storage, 1_000);
    const [late, refused] = [await begin(), await begin()];
    const { surfer, asked } = await ask(refused.user_code);
    await surfer.act(asked, "deny");
    const both = async () => [await poll(late.device_code), await poll(refused.device_code)];
    await wait(600 + 3_500);
    await sweep();
    expect(await both()).toEqual(["expired_token", "access_denied"]);
    await wait(200);
    await sweep();
    expect(await both()).toEqual(["invalid_grant", "invalid_grant"]);
  });

  it("has to wait five seconds longer each time that it was too quick", async () => {
    const { device_code, interval } = await begin();
    expect(interval).toBe(5);
    expect(await poll(device_code)).toBe("authorization_pending");
    await wait(5);
    expect(await poll(device_code)).toBe("authorization_pending");
    for (let n = 0; n < 3; n++) expect(await poll(device_code), `${n}`).toBe("slow_down");
    // Twenty seconds by now.
    await wait(15);
    expect(await poll(device_code), "too quick for the fourth time").toBe("slow_down");
    await wait(25);
    expect(await poll(device_code)).toBe("authorization_pending");
    expect(await poll(device_code), "no less from now on").toBe("slow_down");
  });

  it("waits no more once its time is over or somebody else has answered, and whoever allows it then is told so", async () => {
    const late = await begin();
    const { surfer, asked } = await ask(late.user_code);
    expect(asked.html).toContain("Go on only if you began this yourself");
    await wait(600);
    expect((await surfer.act(asked, "allow")).html).toContain("the device waits no more");
    expect(await poll(late.device_code)).toBe("expired_token");
    const refused = await begin();
    const [one, other] = [await ask(refused.user_code), await ask(refused.user_code)];
    await other.surfer.act(other.asked, "deny");
    expect((await one.surfer.act(one.asked, "allow")).html).toContain("the device waits no more");
    expect(await poll(refused.device_code)).toBe("access_denied");
  });

  it("is let in where it was allowed in its last seconds and asks after them, for as long as what it earned is good", async () => {
    const [quick, slow] = [await begin(), await begin()];
    await wait(595);
    for (const { user_code } of [quick, slow]) {
      const { surfer, asked } = await ask(user_code);
      expect((await surfer.act(asked, "allow")).html).toContain("The device is connected");
    }
    await wait(10);
    expect(await poll(quick.device_code)).toBe(200);
    await latchkey.server.core.storage.write(async ({ db }) => {
      const codes = db.updateTable("device_codes").where("account_id", "=", tenant.account_id);
      const over = sql<string>`replace(answer, '"expires_at":', '"expires_at":1,"then":')`;
      await codes.set({ answer: over }).where("answer", "is not", null).execute();
    });
    expect(await poll(slow.device_code)).toBe("expired_token");
  });

  it("asks again where its answer was lost, and ends nothing by that; at its next turn somebody else was there", async () => {
    const { device_code, user_code } = await begin();
    const { surfer, asked } = await ask(user_code);
    await surfer.act(asked, "allow");
    const [first, ...again] = await Promise.all(
      [0, 1, 2].map(() => standard.token({ grant_type: DEVICE, device_code })),
    );
    const answers = [first, ...again].toSorted((one, other) => (one?.status ?? 0) - (other?.status ?? 0));
    expect(answers.map((one) => one?.body.error ?? one?.status)).toEqual([200, "invalid_grant", "invalid_grant"]);
    const told = async () =>
      (await call(`${tenant.base}/oauth/userinfo`, { token: answers[0]?.body.access_token })).status;
    expect([await poll(device_code), await told()]).toEqual(["invalid_grant", 200]);
    await letPass(latchkey, "redeemed_authorization_codes", tenant.account_id, 5);
    expect([await poll(device_code), await told()]).toEqual(["invalid_grant", 401]);
  });

  it("stays logged in when its person logs out where they let it in, until they take that back", async () => {
    const client = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      grant_types: [DEVICE, "refresh_token"],
    });
    const user = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const letIn = async (scope: string) => {
      const asking = { method: "POST", headers: { authorization: basic(client) }, form: { scope } };
      const { device_code, user_code } = (await call(`${tenant.base}/oauth/device_authorization`, asking)).body;
      const shown = await type(surfer, user_code);
      if (!shown.html.includes('value="allow"')) {
        const waiting = await surfer.act(shown, "identify", { identifier: user.email });
        const code = (await inbox(tenant, user.email))[0]?.verification_code ?? "";
        await surfer.act(await surfer.act(waiting, "code", { code }), "allow");
      } else await surfer.act(shown, "allow");
      return (await standard.token({ grant_type: DEVICE, device_code }, client)).body;
    };
    const lasting = await letIn("openid offline_access");
    const passing = await letIn("openid");
    const { url } = await surfer.visit(
      `${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint: lasting.id_token })}`,
    );
    expect(url).toContain("/logout");
    const about = async (bearer: string) => (await call(`${tenant.base}/oauth/userinfo`, { token: bearer })).status;
    expect([await about(lasting.access_token), await about(passing.access_token)]).toEqual([200, 401]);
    let { refresh_token } = lasting;
    const refresh = async () => {
      const { status, body } = await standard.token({ grant_type: "refresh_token", refresh_token }, client);
      refresh_token = body.refresh_token ?? refresh_token;
      return status;
    };
    expect(await refresh()).toBe(200);
    const consent = `${tenant.base}/customers/users/${user.id}/consents/${client.id}`;
    expect((await call(consent, { method: "DELETE", token: tenant.token })).status).toBeLessThan(300);
    expect([await refresh(), await about(lasting.access_token)]).toEqual([400, 401]);
  });

  it("that an account user was talked into allowing changes no password or factor of theirs, also once refreshed", async () => {
    const client = await addClient(latchkey, tenant.account_id, {
      user_type: "account_user",
      first_party: true,
      require_pkce: false,
      grant_types: [DEVICE, "authorization_code", "refresh_token"],
    });
    const lasting = ["openid", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, lasting, "any");
    const { email } = await addUser(latchkey, tenant.account_id, { type: "account_user" });
    const headers = { authorization: basic(client) };
    const form = { scope: "openid offline_access", resource: tenant.issuer };
    const asking = { method: "POST", headers, form };
    const { device_code, user_code } = (await call(`${tenant.base}/oauth/device_authorization`, asking)).body;
    const surfer = openSurfer(latchkey);
    const waiting = await surfer.act(await type(surfer, user_code), "identify", { identifier: email });
    const asked = await surfer.act(waiting, "code", { code: (await inbox(tenant, email))[0]?.verification_code ?? "" });
    await surfer.act(asked, "allow");
    const first = await standard.token({ grant_type: DEVICE, device_code }, client);
    expect(first.status, first.text).toBe(200);
    const { refresh_token } = first.body;
    const refresh = () => standard.token({ grant_type: "refresh_token", refresh_token }, client);
    const [second, again] = [await refresh(), await refresh()];
    const mine = (method: string, path: string, bearer: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user${path}`, { method, token: bearer, ...(json ? { json } : {}) });
    const change = async (bearer: string) =>
      Promise.all([
        mine("PUT", "/mfa/totp", bearer, { enabled: false }),
        mine("PUT", "/mfa/sms", bearer, { enabled: true, phone_number: "+4740000999" }),
        mine("POST", "/mfa/totp", bearer),
        mine("POST", "/password", bearer, { proposed_password: "a new battery" }),
      ]);
    const exchanged = await token(tenant, { grant_type: "account_user" }, first.body.access_token);
    expect(exchanged.status, exchanged.text).toBe(200);
    for (const [which, { body }] of [first, second, again, exchanged].entries()) {
      const replies = await change(body.access_token);
      const refused = [403, "insufficient_scope"];
      expect(
        replies.map(({ status, body }) => [status, body?.error?.code]),
        `${which}`,
      ).toEqual(replies.map(() => refused));
      expect((await mine("GET", "", body.access_token)).status, "they may be known by it").toBe(200);
    }
    // Refreshed where devices' clients show who they are, and nowhere else.
    const elsewhere = await token(
      tenant,
      { grant_type: "refresh_token", refresh_token: again.body.refresh_token },
      again.body.access_token,
    );
    expect([elsewhere.status, elsewhere.body.error.code], elsewhere.text).toEqual([403, "unauthorized_client"]);
    expect(elsewhere.text).toContain("began at oauth/token");
    // The same person at the same client, in a browser of their own.
    const there = standard.address(client, { scope: "openid", resource: tenant.issuer });
    const code = answered(await surfer.visit(there)).get("code") ?? "";
    const own_login = await standard.redeem(code, client);
    const changed = await mine("POST", "/password", own_login.body.access_token, {
      proposed_password: "a new battery",
    });
    expect(changed.status, changed.text).toBe(201);
  });

  it("is guessed at fifty times an hour from one address, with however many browsers; right codes count for nothing", async () => {
    const { user_code } = await begin();
    const from = (address: string) => openSurfer(latchkey, { "x-forwarded-for": address });
    for (let n = 0; n < 5; n++) {
      const surfer = from("203.0.113.5");
      for (let guess = 0; guess < 10; guess++) {
        if (n === 0) expect((await type(surfer, user_code)).html).toContain('value="identify"');
        expect((await type(surfer, "BBBB-BBBB")).status, `${n}, ${guess}`).toBe(200);
      }
    }
    for (const code of ["BBBB-BBBB", user_code]) expect((await type(from("203.0.113.5"), code)).status).toBe(429);
    expect((await type(from("203.0.113.6"), user_code)).html).toContain('value="identify"');
  });

  it("is guessed at a thousand times an hour from one IPv6 site, from whichever of its networks", async () => {
    const { user_code } = await begin();
    const from = (address: string) => openSurfer(latchkey, { "x-forwarded-for": address });
    const { storage, directory } = latchkey.server.core;
    const { account_id } = tenant;
    const subject = siteSubject(directory.master_keys, account_id, "2001:db8:7::") ?? "";
    await storage.write((tx) =>
      chargeAll(tx, [{ account_id, budget: "device_site", subject, cost: 999 }], storage.now()),
    );
    for (const network of [1, 2])
      expect((await type(from(`2001:db8:7:${network}::5`), user_code)).html).toContain('value="identify"');
    expect((await type(from("2001:db8:7:3::5"), "BBBB-BBBB")).status).toBe(200);
    for (const code of ["BBBB-BBBB", user_code]) expect((await type(from("2001:db8:7:4::5"), code)).status).toBe(429);
    expect((await type(from("2001:db8:8::5"), user_code)).html).toContain('value="identify"');
  });

  it("is entered by others at an address where one browser has guessed too often", async () => {
    const { user_code } = await begin();
    const from = () => openSurfer(latchkey, { "x-forwarded-for": "203.0.113.8" });
    const guesser = from();
    await type(guesser, "BBBB-BBBB");
    for (let n = 1; n < 60; n++) expect((await type(guesser, "BBBB-BBBB")).status, `${n}`).toBe(n < 10 ? 200 : 429);
    expect((await type(from(), user_code)).html).toContain('value="identify"');
  });

  it("is not remembered by what is refused: browsers of an address that has guessed too often leave nothing", async () => {
    const guess = async () =>
      (await type(openSurfer(latchkey, { "x-forwarded-for": "203.0.113.7" }), "BBBB-BBBB")).status;
    const rows = () =>
      latchkey.server.core.storage.read
        .selectFrom("budgets")
        .select(["budget", "subject"])
        .where("account_id", "=", tenant.account_id)
        .where("budget", "like", "device%")
        .orderBy("budget")
        .orderBy("subject")
        .execute();
    for (let n = 0; n < 50; n++) expect(await guess(), `${n}`).toBe(200);
    const before = await rows();
    for (let n = 0; n < 20; n++) expect(await guess(), `${n}`).toBe(429);
    expect(await rows()).toEqual(before);
  });
});

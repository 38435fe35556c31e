/** Who looks at a page in two tabs, goes back, or comes late: what they do is done by whom it named, and told as it is. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { languages } from "../../src/http/languages.ts";
import { textsFor } from "../../src/pages/texts/languages.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
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
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";

describeOnBothEngines("in two tabs", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let third: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    own = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [DEVICE] });
    third = await addClient(latchkey, tenant.account_id, { grant_types: ["authorization_code", DEVICE] });
    standard = standardClient(latchkey, tenant, third);
  });
  afterAll(() => latchkey.close());

  const logIn = async (surfer: Surfer, page: Shown, email: string) => {
    const waiting = await surfer.act(page, "identify", { identifier: email });
    return surfer.act(waiting, "code", { code: (await inbox(tenant, email))[0]?.verification_code ?? "" });
  };
  const startDevice = async (client: TestClient) => {
    const asking = { method: "POST", headers: { authorization: basic(client) }, form: { scope: "openid email" } };
    return (await call(`${tenant.base}/oauth/device_authorization`, asking)).body;
  };
  const poll = async (device_code: string, client: TestClient) =>
    (await standard.token({ grant_type: DEVICE, device_code }, client)).body;
  const type = (surfer: Surfer, user_code: string) => surfer.visit(`${tenant.issuer}/device`, { user_code });
  /** Up to the question whether a device may. */
  const ask = async (client: TestClient, surfer = openSurfer(latchkey)) => {
    const device = await startDevice(client);
    const asked = await logIn(surfer, await type(surfer, device.user_code), await standard.someone());
    return { surfer, device, asked };
  };
  const consentsOf = async (user_id: string) =>
    (await call(`${tenant.base}/customers/users/${user_id}/consents`, { token: tenant.token })).body;

  it("lets nobody allow but the one whom the page named", async () => {
    const [first, second] = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    const surfer = openSurfer(latchkey);
    const named = await logIn(surfer, await surfer.visit(standard.address(third)), first.email);
    expect(named.html).toContain(`<span>${first.email}</span>`);
    const other = await logIn(surfer, await surfer.act(await surfer.visit(named.url), "another"), second.email);
    expect(other.html).toContain(`<span>${second.email}</span>`);
    for (const session of [undefined, "", "x"]) {
      const again =
        session === undefined ? await surfer.act(named, "allow") : await surfer.act(named, "allow", { session });
      expect(again.url, `${session}`).toBe(named.url);
      expect(again.html).toContain(`<span>${second.email}</span>`);
      expect(again.html).toContain("The login in this browser has changed");
    }
    expect((await surfer.visit(named.url, { action: "allow" })).url).toBe(named.url);
    expect([await consentsOf(first.id), await consentsOf(second.id)]).toEqual([[], []]);
    const code = answered(await surfer.act(await surfer.visit(named.url), "allow")).get("code") ?? "";
    expect(claimsOf((await standard.redeem(code)).body.id_token)).toMatchObject({ sub: second.id });
    expect([await consentsOf(first.id), (await consentsOf(second.id)).length]).toEqual([[], 1]);
  });

  /** A form that is sent, or an address that is asked for, without going where the answer leads. */
  const sendAlone = async ({ jar }: Surfer, url: string, form?: Record<string, string>) => {
    const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
    return fetch(url.replace(latchkey.config.public_url, latchkey.url), {
      redirect: "manual",
      headers: { accept: "text/html", cookie },
      ...(form ? { method: "POST", body: new URLSearchParams(form) } : {}),
    });
  };

  it("gives no more than what is agreed to now by a page that was allowed before that was taken back", async () => {
    const user = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const takeBack = async () => {
      const path = `${tenant.base}/customers/users/${user.id}/consents/${third.id}`;
      expect((await call(path, { method: "DELETE", token: tenant.token })).status).toBe(204);
    };
    const allowUnanswered = async (page: Shown) => {
      const [, session = ""] = /name="session" value="([^"]+)"/.exec(page.html) ?? [];
      expect((await sendAlone(surfer, page.url, { action: "allow", session })).status).toBe(303);
      return page.url;
    };
    const whole = { scope: "openid email phone profile" };
    const first = await allowUnanswered(
      await logIn(surfer, await surfer.visit(standard.address(third, whole)), user.email),
    );
    await takeBack();
    const less = await surfer.act(await surfer.visit(standard.address(third)), "allow");
    expect(answered(less).get("code")).toBeTruthy();
    const late = answered(await surfer.visit(first));
    expect([late.get("error"), late.get("code")]).toEqual(["consent_required", null]);
    const second = await allowUnanswered(await surfer.visit(standard.address(third, whole)));
    const code = answered(await surfer.visit(second)).get("code") ?? "";
    expect((await standard.redeem(code)).body.scope, "allowed, and not taken back").toBe(whole.scope);
    const again = answered(await surfer.visit(standard.address(third, { ...whole, prompt: "none" })));
    expect(again.get("code"), "unasked").toBeTruthy();
  });

  it("knows the browser that opens a page for the first time, twice at once", async () => {
    const surfer = openSurfer(latchkey);
    await surfer.visit(standard.address(third));
    for (let round = 0; round < 10; round++) {
      const begun = await sendAlone(surfer, standard.address(third));
      const page = begun.headers.get("location") ?? "";
      const statuses = await Promise.all([1, 2, 3].map(async () => (await sendAlone(surfer, page)).status));
      expect(statuses, `round ${round}`).toEqual([200, 200, 200]);
      expect((await openSurfer(latchkey).visit(page)).status, "another").toBe(404);
    }
  });

  it("hands no login to a device on a page that named another", async () => {
    const { surfer, device, asked } = await ask(own);
    const second = await addUser(latchkey, tenant.account_id);
    await logIn(surfer, await surfer.act(await surfer.visit(asked.url), "another"), second.email);
    const again = await surfer.act(asked, "allow");
    expect(again.html).toContain(`<span>${second.email}</span>`);
    expect((await poll(device.device_code, own)).error).toBe("authorization_pending");
  });

  it("lists what a device was allowed, of whosever client, and ends its login where that is taken back", async () => {
    for (const [name, client] of Object.entries({ own, third })) {
      const { surfer, device, asked } = await ask(client);
      expect(asked.html, name).toContain("login/consents");
      await surfer.act(asked, "allow");
      const { access_token } = await poll(device.device_code, client);
      const look = async () => (await call(`${tenant.base}/oauth/userinfo`, { token: access_token })).status;
      const list = `${tenant.issuer}/login/consents`;
      const { html } = await surfer.visit(list);
      const [, of_client = ""] = /name="client" value="([^"]+)"/.exec(html) ?? [];
      const [, session = ""] = /name="session" value="([^"]+)"/.exec(html) ?? [];
      expect([of_client, await look()], name).toEqual([client.id, 200]);
      const after = await surfer.visit(list, { client: of_client, session });
      expect(after.html).toContain("agreed to nothing");
      expect(await look(), name).toBe(401);
    }
  });

  describe.each(languages)("says of a device in %s", (language) => {
    const { device: texts } = textsFor([language]);
    const open = () => openSurfer(latchkey, { "accept-language": language });

    it("not that it was refused where it was connected", async () => {
      const { surfer, device, asked } = await ask(own, open());
      const [one, other] = [asked, await type(surfer, device.user_code)];
      const done = await surfer.act(one, "allow");
      expect(done.html).toContain(texts.done);
      for (const late of [
        await surfer.visit(one.url),
        await surfer.act(other, "allow"),
        await surfer.act(other, "deny"),
      ]) {
        expect(late.html).toContain(`<h1>${texts.over}</h1>`);
        expect(late.html).toContain(texts.over_intro);
        expect(late.html).not.toContain(texts.refused_intro);
      }
      expect((await poll(device.device_code, own)).id_token).toBeTruthy();
    });

    it("that it was refused to whoever refused it, before they logged in too", async () => {
      const { surfer, device, asked } = await ask(own, open());
      expect((await surfer.act(asked, "deny")).html).toContain(texts.refused_intro);
      expect((await surfer.act(asked, "deny")).html).toContain(texts.over_intro);
      expect((await poll(device.device_code, own)).error).toBe("access_denied");
      const next = await startDevice(own);
      const stranger = open();
      const early = await stranger.act(await type(stranger, next.user_code), "cancel");
      expect(early.html).toContain(texts.refused_intro);
      expect((await poll(next.device_code, own)).error).toBe("access_denied");
    });
  });
});

/**
 * SMS name the host that their code is entered on, so that a phone offers it there and nowhere else: the pages' own at
 * the hosted login, the client's where it has a page of its own, and none where none is known.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  askForCode,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { wrongGuesses } from "../support/verification.ts";

const LOGIN_URI = "https://shop.example/enter";

describeOnBothEngines("an SMS", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    const client = { login_uri: LOGIN_URI, first_party: true };
    tenant = await createTenant(latchkey, { client, settings: { numeric_guess_limit: 3 } });
  });
  afterAll(() => latchkey.close());

  const begin = (surfer: Surfer, client_id = tenant.client.client_id): Promise<Shown> => {
    const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    return surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
  };
  const newest = async (to: string) => {
    const [message] = await inbox(tenant, to);
    return { code: message?.verification_code ?? "", text: message?.text ?? "" };
  };
  const boundTo = (host: string, code: string) => expect.stringMatching(new RegExp(`\n\n@${host} #${code}$`));

  it("of the hosted login names the pages' host, whatever page the client has", async () => {
    for (const settings of [{}, { login_uri: LOGIN_URI }]) {
      const { client_id } = await addClient(latchkey, tenant.account_id, { first_party: true, ...settings });
      const { phone_number } = await addUser(latchkey, tenant.account_id);
      const surfer = openSurfer(latchkey);
      const waiting = await surfer.act(await begin(surfer, client_id), "identify", { identifier: phone_number });
      const { code, text } = await newest(phone_number);
      expect(code).toMatch(/^\d{6}$/);
      expect(text).toEqual(boundTo("localhost", code));
      expect(new URL((await surfer.act(waiting, "code", { code })).url).searchParams.get("code")).toBeTruthy();
    }
  });

  it("about closed codes of the hosted login does so too", async () => {
    const { id, phone_number } = await addUser(latchkey, tenant.account_id);
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) => db.updateTable("users").set({ email: null }).where("id", "=", id).execute());
    const surfer = openSurfer(latchkey);
    let page = await surfer.act(await begin(surfer), "identify", { identifier: phone_number });
    for (const code of wrongGuesses((await newest(phone_number)).code, 3))
      page = await surfer.act(page, "code", { code });
    expect((await newest(phone_number)).text, "who guessed may have asked for it").not.toContain("@localhost");
    await surfer.act(page, "resend");
    const { code, text } = await newest(phone_number);
    expect(code).toMatch(/^[0-9A-Z]{5}-[0-9A-Z]{5}$/);
    expect(text).toEqual(boundTo("localhost", code));
  });

  it("with a second factor names the pages' host there, and the client's in the account API", async () => {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const surfer = openSurfer(latchkey);
    const waiting = await surfer.act(await begin(surfer), "identify", { identifier: person.email });
    const second = await surfer.act(waiting, "code", { code: (await newest(person.email)).code });
    await surfer.act(second, "challenge", { channel: "sms" });
    const hosted = await newest(person.phone_number);
    expect(hosted.text).toEqual(boundTo("localhost", hosted.code));

    const by_password = { grant_type: "password", username: person.email, password: PASSWORD };
    const { mfa_token } = (await token(tenant, { ...by_password, audience: tenant.audience })).body;
    const json = { challenge_type: "oob", mfa_token, oob_channel: "sms" };
    await call(`${tenant.base}/auth/mfa/challenge`, { method: "POST", token: tenant.token, json });
    const direct = await newest(person.phone_number);
    expect(direct.code).not.toBe(hosted.code);
    expect(direct.text).toEqual(boundTo("shop\\.example", direct.code));
  });

  it("of the account API names the client's host, and none where the client has no page", async () => {
    const { phone_number } = await addUser(latchkey, tenant.account_id);
    await askForCode(tenant, { connection: "sms", phone_number });
    const { code, text } = await newest(phone_number);
    expect(text).toEqual(boundTo("shop\\.example", code));
    const own = await createTenant(latchkey);
    await askForCode(own, { connection: "sms", phone_number: own.user.phone_number });
    const [message] = await inbox(own, own.user.phone_number);
    expect(message?.text).toMatch(/\d minutes\.$/);
  });
});

/** Where a client that made itself known comes from: a host that it proves, an app, or nobody knows where. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { until } from "../support/smtp.ts";
import { answered, pkce, VERIFIER } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

const HOST = "trusted-bank.example";
const BANK = `https://${HOST}/cb`;
/** An app's scheme, under which any host may stand. */
const POSING = `com.evil.app://${HOST}/cb`;
const AN_APP = "an app on your device (com.evil.app:)";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const PAIR = { subject_type: "pairwise" } as const;

interface Made {
  readonly client_id: string;
  readonly client_secret?: string;
}

describeOnBothEngines("the home of a client", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [documents.has(path) ? 200 : 404, JSON.stringify(documents.get(path))]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  async function register(redirect_uris: readonly string[], more: object = {}): Promise<Made> {
    const json = { redirect_uris, token_endpoint_auth_method: "none", ...more };
    const made = await call(`${tenant.base}/oauth/register`, { method: "POST", token: tenant.token, json });
    expect(made.status, made.text).toBe(201);
    return made.body;
  }
  function describe(path: string, redirect_uris: readonly string[], more: object = {}): Made {
    const client_id = `${web.url}${path}`;
    documents.set(path, { client_id, redirect_uris, ...more });
    return { client_id };
  }
  const address = ({ client_id }: Made, redirect_uri: string, more: Record<string, string> = {}) => {
    const about = { client_id, redirect_uri, response_type: "code", scope: "openid", ...pkce, ...more };
    return `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
  };
  const asks = ({ html }: Shown) => html.includes('value="allow"');

  async function askedAt(surfer: Surfer, url: string, email: string, form?: Record<string, string>) {
    const waiting = await surfer.act(await surfer.visit(url, form), "identify", { identifier: email });
    const [mail] = await inbox(tenant, email);
    return { mail, page: await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" }) };
  }
  const someone = async () => (await addUser(latchkey, tenant.account_id)).email;

  /** What the client calls the person of this browser. */
  async function subAt({ client_id, client_secret }: Made, redirect_uri: string, surfer: Surfer): Promise<string> {
    const shown = await surfer.visit(address({ client_id }, redirect_uri));
    const code = answered(asks(shown) ? await surfer.act(shown, "allow") : shown).get("code") ?? "";
    const { body, text } = await call(`${tenant.base}/oauth/token`, {
      method: "POST",
      ...(client_secret ? { headers: { authorization: basic({ client_id, client_secret }) } } : {}),
      form: {
        ...{ grant_type: "authorization_code", redirect_uri, code, code_verifier: VERIFIER },
        ...(client_secret ? {} : { client_id }),
      },
    });
    expect(body.id_token, text).toBeTruthy();
    return claimsOf(body.id_token).sub as string;
  }

  async function askedForDevice(made: Made, email: string, surfer = openSurfer(latchkey)) {
    const form = { client_id: made.client_id, scope: "openid email" };
    const { body } = await call(`${tenant.base}/oauth/device_authorization`, { method: "POST", form });
    const { mail, page } = await askedAt(surfer, `${tenant.issuer}/device`, email, { user_code: body.user_code });
    const tokens = async () => {
      await surfer.act(page, "allow");
      const got = { grant_type: DEVICE, client_id: made.client_id, device_code: body.device_code };
      return (await call(`${tenant.base}/oauth/token`, { method: "POST", form: got })).body;
    };
    return { mail, page, tokens };
  }

  it("may be told by ever so long an address: its people log out by a form of its pages too", async () => {
    const made = describe(`/${"a-long-way-home/".repeat(110)}`, [BANK]);
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, BANK), await someone());
    const code = answered(await surfer.act(page, "allow")).get("code") ?? "";
    const redeeming = { grant_type: "authorization_code", redirect_uri: BANK, code, code_verifier: VERIFIER };
    const form = { ...redeeming, client_id: made.client_id };
    const { body } = await call(`${tenant.base}/oauth/token`, { method: "POST", form });
    const leaving = { method: "POST", form: { id_token_hint: body.id_token } };
    const sent = await call(`${tenant.base}/oauth/logout`, leaving);
    const left = await surfer.visit(sent.headers.get("location") ?? "");
    expect([sent.status, left.status, left.html.includes("You are logged out")]).toEqual([303, 200, true]);
  });

  it("is an app's where its address has an app's scheme, whatever host stands under it", async () => {
    const app = address(await register([POSING]), POSING);
    const surfer = openSurfer(latchkey);
    const { page, mail } = await askedAt(surfer, app, await someone());
    expect(page.html).toContain(`It comes from ${AN_APP}.`);
    expect(page.html).toContain(`You will be sent to ${AN_APP}.`);
    expect(page.html).not.toContain(HOST);
    const answer = await surfer.act(await surfer.visit(`${app}&response_mode=form_post`), "allow");
    expect(answer.html).toContain(`<h1>You will be sent to ${AN_APP}.</h1>`);
    expect(mail?.text).not.toContain(HOST);
    expect(mail?.text, "nobody proves a scheme either").not.toContain("com.evil.app");
    const described = address(describe("/posing.json", [POSING]), POSING);
    const asked = await askedAt(openSurfer(latchkey), described, await someone());
    expect(asked.page.html).toContain(`You will be sent to ${AN_APP}.`);
    expect(asked.page.html).not.toContain(HOST);
  });

  it("is never taken for a host whose name its scheme is", async () => {
    const named = `${HOST}:/cb`;
    const { page, mail } = await askedAt(
      openSurfer(latchkey),
      address(await register([named]), named),
      await someone(),
    );
    expect(page.html).toContain(`It comes from an app on your device (${HOST}:).`);
    expect(mail?.text).not.toContain(HOST);
  });

  it("is no sector of a host's, by an app's scheme over that host, nor by the very scheme of another's app", async () => {
    const surfer = openSurfer(latchkey);
    await surfer.logIn(address(tenant.client, CALLBACK), tenant);
    const settings = { first_party: true, require_pkce: false, ...PAIR };
    const own = async (callback: string) => {
      const client = await addClient(latchkey, tenant.account_id, { ...settings, callbacks: [callback] });
      return subAt(client, callback, surfer);
    };
    const theirs = { bank: await own(BANK), app: await own("com.bank.app:/cb"), posing: await own(POSING) };
    const subs = [
      ...Object.values(theirs),
      await subAt(await register([POSING], PAIR), POSING, surfer),
      await subAt(describe("/posing-pair.json", [POSING], PAIR), POSING, surfer),
      await subAt(await register(["com.bank.app:/cb"], PAIR), "com.bank.app:/cb", surfer),
    ];
    expect(new Set(subs).size).toBe(subs.length);
    const local = "com.evil.app://localhost/cb";
    expect(await own(local), "no loopback address either").toBe(theirs.posing);
    expect(await subAt(await register([BANK], PAIR), BANK, surfer), "whoever proves the host").toBe(theirs.bank);
  });

  it("is asked about anew where consent was kept under the host that an app's address named", async () => {
    const made = await register([POSING], { token_endpoint_auth_method: "client_secret_basic" });
    const surfer = openSurfer(latchkey);
    const { page } = await askedAt(surfer, address(made, POSING), await someone());
    await surfer.act(page, "allow");
    expect(asks(await surfer.visit(address(made, POSING))), "once").toBe(false);
    await latchkey.server.core.storage.write(
      async ({ db }) =>
        void (await db.updateTable("consents").set({ host: HOST }).where("client_id", "=", made.client_id).execute()),
    );
    expect(asks(await surfer.visit(address(made, POSING)))).toBe(true);
    const silent = await surfer.visit(address(made, POSING, { prompt: "none" }));
    expect(silent.url.startsWith(POSING)).toBe(false);
  });

  it("is known to nobody where a device asks, whatever addresses the client registered to which nothing goes", async () => {
    const grant_types = ["authorization_code", DEVICE];
    for (const made of [await register([BANK], { grant_types }), await register([], { grant_types: [DEVICE] })]) {
      const { page, mail } = await askedForDevice(made, await someone());
      expect(page.html).toContain("Nobody here has checked this application. Nobody knows where it comes from.");
      for (const name of [HOST, `from ${made.client_id}`]) expect(page.html).not.toContain(name);
      const { name } = await latchkey.server.core.storage.read
        .selectFrom("accounts")
        .select("name")
        .where("account_id", "=", tenant.account_id)
        .executeTakeFirstOrThrow();
      expect(mail?.text).toContain(name);
      for (const name of [HOST, made.client_id]) expect(mail?.text).not.toContain(name);
    }
  });

  it("is where a person has agreed to the client, whatever they allow its devices", async () => {
    const settings = { grant_types: ["authorization_code", DEVICE], scope: "openid email" };
    const made = await register([BANK], settings);
    const surfer = openSurfer(latchkey);
    const email = await someone();
    const { page } = await askedAt(surfer, address(made, BANK), email);
    await surfer.act(page, "allow");
    expect(answered(await surfer.visit(address(made, BANK, { prompt: "none" }))).get("code")).toBeTruthy();
    const { tokens } = await askedForDevice(made, email, openSurfer(latchkey));
    expect((await tokens()).access_token).toBeTruthy();
    const silent = await surfer.visit(address(made, BANK, { prompt: "none" }));
    expect(answered(silent).get("code"), silent.html).toBeTruthy();
    const wider = await surfer.visit(address(made, BANK, { scope: "openid email" }));
    expect(asks(wider), "nothing was agreed to there by it").toBe(true);
  });

  it("is no sector of a host's for a client whose tokens go to devices", async () => {
    const email = await someone();
    const settings = { first_party: true, require_pkce: false, ...PAIR, callbacks: [BANK] };
    const surfer = openSurfer(latchkey);
    await surfer.logIn(address(tenant.client, CALLBACK), tenant, email);
    const bank = await subAt(await addClient(latchkey, tenant.account_id, settings), BANK, surfer);
    documents.set("/sector.json", [BANK]);
    const grant_types = ["authorization_code", DEVICE];
    for (const more of [{}, { sector_identifier_uri: `${web.url}/sector.json` }]) {
      const { tokens } = await askedForDevice(await register([BANK], { grant_types, ...PAIR, ...more }), email);
      const { id_token } = await tokens();
      const { sub } = claimsOf(id_token);
      expect(sub).toMatch(/^[A-Za-z0-9_-]{22}$/);
      expect(sub).not.toBe(bank);
    }
  });

  it("is no sector of a host's for a client that hears of logouts elsewhere", async () => {
    const surfer = openSurfer(latchkey);
    await surfer.logIn(address(tenant.client, CALLBACK), tenant);
    const settings = { first_party: true, require_pkce: false, ...PAIR, callbacks: [BANK] };
    const bank = await subAt(await addClient(latchkey, tenant.account_id, settings), BANK, surfer);
    const elsewhere = { ...PAIR, backchannel_logout_uri: `${web.url}/bye` };
    const subs = [
      await subAt(await register([BANK], elsewhere), BANK, surfer),
      await subAt(describe("/listening.json", [BANK], elsewhere), BANK, surfer),
    ];
    expect(subs).not.toContain(bank);
    const there = { ...PAIR, backchannel_logout_uri: `https://${HOST}/bye` };
    expect(await subAt(await register([BANK], there), BANK, surfer), "whoever proves the host").toBe(bank);
    await surfer.visit(`${tenant.issuer}/oauth/logout`, { confirm: "yes" });
    const told = await until("both logouts", async () => {
      const heard = web.all.filter(({ path }) => path === "/bye");
      return heard.length === 2 ? heard : undefined;
    });
    const named = told.map(({ body }) => claimsOf(new URLSearchParams(body).get("logout_token") ?? "").sub);
    expect(named.toSorted()).toEqual(subs.toSorted());
  });
});

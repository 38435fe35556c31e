/** Two features, each of them right, that together would lead somewhere: nowhere. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  addUser,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
  tokenOf,
} from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, pkce, type StandardClient, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

const ROUNDS = 10;
const LOGIN = 'name="action" value="identify"';

describeOnBothEngines("chains", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  let upstream: Upstream;
  let own: TestClient;
  let standard: StandardClient;
  const documents = new Map<string, object>();
  const linked = `linked@${engine}.example`;
  beforeAll(async () => {
    web = await openReceiver(({ path }) => [
      documents.has(path) ? 200 : 404,
      JSON.stringify(documents.get(path) ?? {}),
    ]);
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    const people = { linked: { email: linked, email_verified: true } };
    upstream = await openUpstream(people, tenant);
    own = await addClient(latchkey, tenant.account_id, { first_party: true, require_pkce: false });
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(async () => {
    await latchkey.close();
    await upstream.close();
    await web.close();
  });

  const patch = (at: Tenant, token: string, json: object) =>
    call(`${at.base}/auth/settings`, { method: "PATCH", token, json });

  it("a scope with a space in it is none, and gives no client that registers itself a second one", async () => {
    const at = await createTenant(latchkey);
    const weak = await addClient(latchkey, at.account_id);
    await addGrant(latchkey, at.account_id, weak, at.issuer, ["write:accounts"]);
    const crafted = { open_registration: true, public_client_grants: { [at.issuer]: ["user:x admin:accounts"] } };
    const refused = await patch(at, await tokenOf(latchkey, at.account_id, weak), crafted);
    expect([refused.status, refused.body.error.code]).toEqual([400, "invalid_request"]);
    await changeSettings(latchkey.server.core.directory, at.account_id, crafted, actor);
    const json = { redirect_uris: [CALLBACK], token_endpoint_auth_method: "none" };
    const { client_id } = (await call(`${at.base}/oauth/register`, { method: "POST", json })).body;
    const there = standardClient(latchkey, at, { id: "", client_id, client_secret: "" });
    const shown = await openSurfer(latchkey).logIn(
      there.address({ client_id }, { ...pkce, resource: at.issuer }),
      at,
      await there.someone(),
    );
    const form = { code: answered(shown).get("code") ?? "", code_verifier: VERIFIER, redirect_uri: CALLBACK };
    const redeemed = await there.token({ grant_type: "authorization_code", client_id, ...form }, null);
    const token = redeemed.body.access_token ?? "";
    expect(token === "" ? "" : claimsOf(token).scope).not.toContain("admin:accounts");
    expect((await call(`${at.base}/auth/clients`, { token })).status).not.toBe(200);
  });

  it("of a further name for the account API and a grant that names it, at the same time, one is refused", async () => {
    const at = await createTenant(latchkey, { scope: ["admin:accounts"] });
    for (let round = 0; round < ROUNDS; round++) {
      const audience = `https://api-${round}.example`;
      const grant = { client_id: at.client.id, audience, scope: ["admin:customers"], type: "client_credentials" };
      const replies = await Promise.all([
        patch(at, at.token, { api_audiences: [audience] }),
        call(`${at.base}/auth/client-grants`, { method: "POST", token: at.token, json: grant }),
      ]);
      expect(replies.map(({ status }) => status).toSorted(), `round ${round}`).toEqual([200, 403]);
    }
    expect(claimsOf(await tokenOf(latchkey, at.account_id, at.client)).scope).not.toContain("admin:customers");
  });

  it("a document writes nothing into messages but where it lies", async () => {
    const client_id = `${web.url}/loud.json`;
    const client_name = "your account is locked, call +47 22 22 22 22";
    documents.set("/loud.json", { client_id, redirect_uris: ["https://agent.example/back"], client_name });
    const about = { client_id, redirect_uri: "https://agent.example/back", response_type: "code", ...pkce };
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
    const who = await standard.someone();
    await surfer.act(page, "identify", { identifier: who });
    const [message] = await inbox(tenant, who);
    const all = JSON.stringify(message);
    expect(all).toContain(new URL(web.url).host);
    expect(all).not.toContain("locked");
  });

  it("a login of one person is no fresh login of another who is logged in beside them", async () => {
    const [victim, attacker] = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    const surfer = openSurfer(latchkey);
    await surfer.logIn(standard.address(), tenant, victim.email);
    const first = await surfer.logIn(standard.address(own, { prompt: "login" }), tenant, attacker.email);
    const { id_token } = (await standard.redeem(answered(first).get("code") ?? "")).body;
    const page = await surfer.visit(standard.address(own, { max_age: "0" }));
    const login = await surfer.act(page, "another");
    const waiting = await surfer.act(login, "identify", { identifier: attacker.email });
    const [message] = await inbox(tenant, attacker.email);
    const cookie = [...surfer.jar].map(([name, value]) => `${name}=${value}`).join("; ");
    // The browser does not go where it is sent.
    const finished = await call(waiting.url.replace(latchkey.config.public_url, latchkey.url), {
      method: "POST",
      headers: { cookie },
      form: { action: "code", code: message?.verification_code ?? "" },
    });
    expect(finished.status, finished.text).toBe(303);
    for (const line of finished.headers.getSetCookie()) {
      const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
      surfer.jar.set(name, value);
    }
    await surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint: id_token })}`);
    const shown = await surfer.visit(waiting.url);
    expect([shown.url.startsWith(CALLBACK), shown.html.includes(LOGIN)]).toEqual([false, true]);
  });

  it("whom another provider logged in reads and takes back only what was agreed to at clients that ask it", async () => {
    const asking = await addClient(latchkey, tenant.account_id, { first_party: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    const oidc = { client_id, client_secret, authority, trusted_domains: [`${engine}.example`] };
    const grant = { client_id: asking.id, audience: "https://o.example", scope: [], type: "authorization_code", oidc };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    const person = await addUser(latchkey, tenant.account_id, { email: linked });
    const third = await addClient(latchkey, tenant.account_id, { require_pkce: false });
    const mine = openSurfer(latchkey);
    await mine.logIn(standard.address(third), tenant, linked);
    const theirs = openSurfer(latchkey);
    const login = await theirs.visit(standard.address(asking, pkce));
    const link = /href="(login\/upstream[^"]+)"/.exec(login.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const away = await theirs.visit(new URL(link, login.url).href);
    const back = await upstream.answer("linked", Object.fromEntries(new URL(away.url).searchParams));
    expect(answered(await theirs.visit(back)).get("code")).toBeTruthy();
    const page = `${tenant.issuer}/login/consents`;
    const agreed = async () => {
      const url = `${tenant.base}/customers/users/${person.id}/consents`;
      return (await call(url, { token: tenant.token })).body.length;
    };
    expect((await mine.visit(page)).html).toContain(`value="${third.id}"`);
    expect((await theirs.visit(page)).html).not.toContain(third.id);
    const { read } = latchkey.server.core.storage;
    const sessions = read.selectFrom("sessions").select("id").where("user_id", "=", person.id);
    const session = await sessions.where("provider", "is not", null).executeTakeFirstOrThrow();
    await theirs.visit(page, { client: third.id, session: session.id });
    expect(await agreed(), "by the other provider's word").toBe(1);
    const other = await sessions.where("provider", "is", null).executeTakeFirstOrThrow();
    await mine.visit(page, { client: third.id, session: other.id });
    expect(await agreed()).toBe(0);
  });

  it("a form of another site that says yes logs nobody out, nor says so", async () => {
    const surfer = openSurfer(latchkey);
    await surfer.logIn(standard.address(), tenant, await standard.someone());
    const headers = { "sec-fetch-site": "cross-site" };
    const form = { confirm: "yes" };
    const sent = await call(`${tenant.base}/oauth/logout`, { method: "POST", headers, form });
    expect([sent.status, sent.headers.get("location")]).toEqual([303, `${tenant.issuer}/oauth/logout`]);
    expect((await surfer.visit(sent.headers.get("location") ?? "")).html).toContain('name="confirm"');
    expect(answered(await surfer.visit(standard.address(own, { prompt: "none" }))).get("code")).toBeTruthy();
  });

  it("a client that knows people by pairwise subjects finds out nobody's id by asking for it", async () => {
    const pairwise = await addClient(latchkey, tenant.account_id, {
      ...({ first_party: true, require_pkce: false, subject_type: "pairwise" } as const),
    });
    const person = await addUser(latchkey, tenant.account_id);
    const surfer = openSurfer(latchkey);
    const shown = await surfer.logIn(standard.address(pairwise), tenant, person.email);
    const { sub } = claimsOf((await standard.redeem(answered(shown).get("code") ?? "", pairwise)).body.id_token);
    const guess = async (value: string) => {
      const claims = JSON.stringify({ id_token: { sub: { value } } });
      return answered(await surfer.visit(standard.address(pairwise, { prompt: "none", claims })));
    };
    expect((await guess(sub)).get("code")).toBeTruthy();
    expect((await guess(person.id)).get("error")).toBe("login_required");
  });
});

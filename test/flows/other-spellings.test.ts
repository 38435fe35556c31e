/** Clients of the account API in other languages: what they spell otherwise means what they mean by it. */
import { connect } from "node:net";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  askForCode,
  authorize,
  basic,
  CALLBACK,
  type CallOptions,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  type Reply,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD } from "../support/people.ts";

const NOWHERE = "00000000-0000-7000-8000-00000000ABCD";

describeOnBothEngines("what other languages spell otherwise", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey, { client: { code_format: "numeric" } });
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, options: CallOptions = {}) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...options });
  const done = async (reply: Promise<Reply>, about?: string): Promise<Reply> => {
    const { status, text } = await reply;
    expect([200, 201, 204, 302], `${about ?? ""} ${status} ${text}`).toContain(status);
    return reply;
  };
  const faults = ({ status, body }: Reply) => [
    status,
    (body?.error?.errors ?? []).map(({ path, code }: { path: string; code: string }) => `${path} ${code}`),
  ];

  it("finds what an id in capitals names, wherever one may be sent", async () => {
    const own = await addClient(latchkey, tenant.account_id);
    const ID = own.id.toUpperCase();
    expect(ID).not.toBe(own.id);
    const grant = { client_id: ID, audience: "https://other.example", scope: ["a"] };
    expect((await done(send("POST", "/auth/client-grants", { json: grant }))).body.client_id).toBe(own.id);
    const listed = await done(send("GET", `/auth/client-grants?client_id=${ID}`));
    expect(listed.body).toHaveLength(1);
    await done(send("GET", `/auth/clients/${ID}`));
    const rotated = await done(send("POST", `/auth/clients/${ID}/rotate-secret`));
    await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["read:accounts"]);
    const headers = { authorization: basic({ client_id: ID, client_secret: rotated.body.client_secret }) };
    const json = { grant_type: "client_credentials", audience: tenant.issuer };
    await done(call(`${tenant.base}/auth/token`, { method: "POST", headers, json }));
    const form = { grant_type: "client_credentials", resource: tenant.issuer };
    await done(call(`${tenant.base}/oauth/token`, { method: "POST", headers, form }));
    const [{ id: grant_id }] = listed.body;
    await done(send("PATCH", `/auth/client-grants/${grant_id.toUpperCase()}`, { json: { scope: ["b"] } }));
    await done(send("DELETE", `/auth/client-grants/${grant_id.toUpperCase()}`));
    const role = (await done(send("POST", "/auth/roles", { json: { scope: [] } }))).body;
    await done(send("GET", `/auth/roles/${role.id.toUpperCase()}`));
    const staff = { email: `${role.id}@example.com`, roles: [{ id: role.id.toUpperCase() }] };
    const made = await done(send("POST", "/management/users?expand=roles", { json: staff }));
    expect(made.body.roles.map(({ id }: { id: string }) => id)).toEqual([role.id]);
    await done(send("PUT", `/management/users/${made.body.id.toUpperCase()}`, { json: { name: "Ada" } }));
    await done(send("GET", `/customers/users/${tenant.user.id.toUpperCase()}`));
    const links = [{ rel: "customers_user", href: `https://api/users/${tenant.user.id.toUpperCase()}` }];
    await done(send("POST", "/auth/users", { json: { username: "capital", password: PASSWORD, links } }));
    expect((await send("GET", `/auth/clients/${NOWHERE}`)).status).toBe(404);
    expect((await send("GET", "/auth/clients/nobody")).status, "of any form").toBe(404);
  });

  it("ends a list that is asked for page by page, by ids in capitals", async () => {
    for (let n = 0; n < 3; n++) {
      await done(send("POST", "/auth/roles", { json: { scope: [] } }));
      await done(send("POST", "/management/users", { json: { email: `page-${n}@example.com` } }));
    }
    for (const path of ["/auth/roles", "/management/users"]) {
      const seen: string[] = [];
      let after = "";
      for (;;) {
        const page = (await done(send("GET", `${path}?limit=1${after}`))).body as { id: string }[];
        if (page.length === 0) break;
        const [{ id }] = page as [{ id: string }];
        expect(seen, path).not.toContain(id);
        seen.push(id);
        after = `&starting_after=${id.toUpperCase()}`;
      }
      expect(seen.length, path).toBeGreaterThanOrEqual(3);
    }
  });

  it("redeems a code whose person, client or login session is named in capitals", async () => {
    const client_id = tenant.client.id.toUpperCase();
    const ask = async () => {
      const { email, id } = await addPerson(latchkey, tenant.account_id);
      const asked = await done(askForCode(tenant, { email, client_id } as never));
      const [message] = await inbox(tenant, email);
      const session = asked.headers.get("login-session-id")?.toUpperCase() ?? "";
      return { id: id.toUpperCase(), session, verification_code: message?.verification_code ?? "" };
    };
    const first = await ask();
    const { verification_code } = first;
    await done(authorize(tenant, { client_id, verification_code, login_session_id: first.session }), "session");
    const second = await ask();
    const person = { ident_type: "user_id", ident: second.id };
    await done(authorize(tenant, { client_id, verification_code: second.verification_code, ...person }), "user_id");
    for (const name of ["login_session_id", "ident", "user_id"] as const) {
      const asked = await ask();
      const naming =
        name === "login_session_id"
          ? { login_session_id: asked.session }
          : name === "ident"
            ? { ident_type: "login_session_id", ident: asked.session }
            : { ident_type: "user_id", ident: asked.id };
      const { verification_code } = asked;
      const json = { grant_type: "authorization_code", audience: tenant.audience, verification_code, ...naming };
      await done(send("POST", "/auth/token", { json }), name);
    }
    const minted = await mintCode(tenant, { client_id, user_id: tenant.user.id.toUpperCase(), format: "link" });
    await done(authorize(tenant, { verification_code: minted }), "minted");
    const state = NOWHERE;
    const again = await mintCode(tenant, { format: "link" });
    const sent = await done(authorize(tenant, { verification_code: again, state }));
    expect(new URL(sent.headers.get("location") ?? "").searchParams.get("state"), "as it was sent").toBe(state);
  });

  it("keeps an account's own names for people as they are, and gives nobody the name of another's id", async () => {
    const customer_id = "0193E4A0-9D2B-7C31-8A4E-0C5D6E7F8091";
    const json = { customer_id, email: "capital@example.com" };
    const made = (await done(send("POST", "/customers/users", { json }))).body;
    expect(made.customer_id).toBe(customer_id);
    expect((await done(send("GET", `/customers/users/${customer_id}`))).body.id).toBe(made.id);
    expect((await send("GET", `/customers/users/${customer_id.toLowerCase()}`)).status).toBe(404);
    await mintCode(tenant, { user_id: customer_id });
    const ident = { ident_type: "user_id", ident: customer_id };
    const verification_code = await mintCode(tenant, { user_id: customer_id });
    await done(authorize(tenant, { verification_code, ...ident }));
    const taken = await send("POST", "/customers/users", { json: { customer_id: made.id.toUpperCase() } });
    expect(faults(taken)).toEqual([400, ["customer_id taken"]]);
  });

  it("takes null, and an empty text that is no value, for what is left out", async () => {
    const client = { name: null, description: null, client_id: null, callbacks: null, login_uri: "" };
    const made = (await done(send("POST", "/auth/clients", { json: client }))).body;
    expect([made.client_id, made.callbacks, made.login_uri]).toEqual([made.id, [], null]);
    const grant = { client_id: made.id, audience: "https://x.example", scope: ["a"], type: null, oidc: null };
    expect((await done(send("POST", "/auth/client-grants", { json: grant }))).body.type).toBe("any");
    await done(send("POST", "/auth/roles", { json: { name: null, description: null, scope: [] } }));
    const staff = { email: "null@example.com", name: null, roles: null, agreement: null };
    const { id } = (await done(send("POST", "/management/users", { json: staff }))).body;
    for (const change of [{ scope: null }, { scope: "" }, { roles: null }, { roles: "" }, { name: null }]) {
      const { status } = await send("PUT", `/management/users/${id}`, { json: change });
      expect(status, `${JSON.stringify(change)} may mean to take it away`).toBe(400);
    }
    for (const authentication_type of [null, ""]) {
      const other = { email: "other-null@example.com", authentication_type };
      expect((await send("POST", "/management/users", { json: other })).status).toBe(400);
    }
    const asking = { type: null, send: null, login_session_id: null, locale: null };
    await done(askForCode(tenant, asking as never));
    await done(askForCode(tenant, { email: tenant.user.email, type: "", login_session_id: "", phone_number: "" }));
    const nobody = { username: "null", password: PASSWORD, links: null, mfa: null };
    await done(send("POST", "/auth/users", { json: nobody }));
    const login = { audience: tenant.audience, type: "customer", password: PASSWORD };
    const { email } = await addPerson(latchkey, tenant.account_id, { password: PASSWORD });
    for (const nothing of [null, ""]) {
      const json = { ...login, email, ident: nothing, ident_type: nothing };
      const { body } = await send("POST", "/customers/login", { json });
      expect(body.error?.code ?? "in", JSON.stringify(nothing)).not.toBe("invalid_request");
    }
    const token = { grant_type: "client_credentials", audience: tenant.issuer, username: "", refresh_token: "" };
    const headers = { authorization: basic(tenant.client) };
    await done(call(`${tenant.base}/auth/token`, { method: "POST", headers, form: token }));
    const json = { ...token, username: null, ident: null };
    await done(call(`${tenant.base}/auth/token`, { method: "POST", headers, json }));
  });

  it("says what is missing where that is null, and empty where it is so, and reads a change as it is written", async () => {
    expect(faults(await send("POST", "/auth/roles", { json: { scope: null } }))).toEqual([400, ["scope required"]]);
    const empty = { audience: "", client_id: "", connection: "email" };
    const said = faults(await send("POST", "/auth/passwordless", { json: empty }));
    expect(said).toEqual([400, ["audience empty", "client_id empty"]]);
    const needed = await authorize(tenant, { verification_code: "", audience: "" });
    expect(faults(needed)).toEqual([400, ["audience empty", "verification_code empty"]]);
    for (const change of [{ name: null }, { login_uri: "" }, { name: "a", callbacks: null }]) {
      const { status } = await send("PATCH", `/auth/clients/${tenant.client.id}`, { json: change });
      expect(status, JSON.stringify(change)).toBe(400);
    }
    await done(send("PATCH", `/auth/clients/${tenant.client.id}`, { json: { login_uri: null } }));
  });

  it("takes nothing that a login is bound to for left out because it is empty", async () => {
    const verification_code = await mintCode(tenant, { format: "link" });
    const session = await authorize(tenant, { verification_code, login_session_id: "" });
    expect([session.status, session.body.error.code]).toEqual([400, "invalid_verification_code"]);
    const json = {
      grant_type: "authorization_code",
      audience: tenant.audience,
      verification_code,
      login_session_id: "",
    };
    const { body } = await send("POST", "/auth/token", { json });
    expect(body.error.code).toBe("invalid_verification_code");
    expect(faults(await send("POST", "/auth/token", { json: { ...json, login_session_id: null } }))).toEqual([
      400,
      ["login_session_id type"],
    ]);
    await done(authorize(tenant, { verification_code }), "it was not spent");
    const person = await addPerson(latchkey, tenant.account_id, { password: PASSWORD });
    const about = { email: person.email, audience: tenant.audience, type: "customer", password: "a new battery" };
    const reset = await send("POST", "/customers/change_password", { json: { ...about, verification_code: "" } });
    expect([reset.status, reset.body?.error?.code]).toEqual([400, "invalid_verification_code"]);
    const nothing = await send("POST", "/customers/change_password", { json: { ...about, verification_code: null } });
    expect(faults(nothing)).toEqual([400, ["verification_code type"]]);
    const upstream = {
      client_id: tenant.client.client_id,
      audience: tenant.audience,
      code: "x",
      redirect_uri: CALLBACK,
    };
    for (const bound of [{ nonce: null }, { code_verifier: null }, { code_verifier: "" }]) {
      const shown = { grant_type: "authorization_code", ...upstream, ...bound };
      const [status, said] = faults(await send("POST", "/auth/oidc/token", { json: shown }));
      expect([status, said.length], JSON.stringify(bound)).toEqual([400, 1]);
    }
    const contact = `/customers/users/${person.id}/communication/send-verification-code/email`;
    expect(faults(await send("POST", contact, { json: { value: "" } }))).toEqual([400, ["value format"]]);
    expect(await inbox(tenant, person.email)).toEqual([]);
    await done(send("POST", contact, { json: { value: null, code: "" } }));
  });

  it("leaves out of a query what is empty, and gives state back though it is", async () => {
    const all = (await done(send("GET", `/auth/client-grants?client_id=${tenant.client.id}`))).body;
    expect(all.length).toBeGreaterThan(1);
    const asked = await done(send("GET", `/auth/client-grants?audience=&client_id=${tenant.client.id}`));
    expect(asked.body).toEqual(all);
    expect((await done(send("GET", "/auth/client-grants?client_id="))).body).toEqual(
      (await done(send("GET", "/auth/client-grants"))).body,
    );
    await done(send("POST", "/auth/roles", { json: { name: "one", scope: [] } }));
    const roles = "/auth/roles?name=&limit=&include_deleted=&search=&starting_after=";
    expect((await done(send("GET", roles))).body).toEqual((await done(send("GET", "/auth/roles"))).body);
    await done(send("GET", "/management/users?expand=&limit="));
    await done(send("HEAD", "/customers/users", { query: { email: tenant.user.email, phone_number: "", type: "" } }));
    const nobody = await send("HEAD", "/customers/users", { query: { email: "", phone_number: "" } });
    expect(nobody.status).toBe(400);
    const verification_code = await mintCode(tenant, { format: "link" });
    const nothing = { scope: "", connection: "", redirect_uri: "", nonce: "", response_mode: "", ident_type: "" };
    const sent = await done(authorize(tenant, { verification_code, ...nothing, state: "" }));
    const location = sent.headers.get("location") ?? "";
    expect(location.startsWith(CALLBACK) && new URL(location).searchParams.get("state")).toBe("");
  });

  it("reads booleans and lists of a query as other languages write them", async () => {
    const { id } = (await done(send("POST", "/auth/roles", { json: { name: "gone", scope: [] } }))).body;
    await done(send("DELETE", `/auth/roles/${id}`));
    const count = async (said: string) =>
      (await done(send("GET", `/auth/roles?name=gone&include_deleted=${said}`))).body.length;
    for (const yes of ["true", "True", "TRUE", "1"]) expect(await count(yes), yes).toBe(1);
    for (const no of ["false", "False", "0", ""]) expect(await count(no), no).toBe(0);
    expect(faults(await send("GET", "/auth/roles?include_deleted=yes"))).toEqual([400, ["include_deleted type"]]);
    const shown = async (query: string) =>
      (await done(send("GET", `/management/users?${query}`))).body.every((user: object) => "roles" in user);
    await done(send("POST", "/management/users", { json: { email: "lists@example.com" } }));
    for (const query of ["expand=roles", "expand[]=roles", "expand%5B0%5D=roles", "expand[]=&expand=roles"])
      expect(await shown(query), query).toBe(true);
    expect(await shown("x[]=roles&expand[x]=roles")).toBe(false);
    const wrong = { "expand=x": "expand.0 enum", "expand[]=roles&expand[]=x": "expand.1 enum" };
    for (const [query, fault] of Object.entries(wrong))
      expect(faults(await send("GET", `/management/users?${query}`))[1], query).toContain(fault);
    for (const query of ["expand=roles&expand=roles", "expand[0]=roles&expand[1]=roles", "limit=1&limit=1"])
      expect((await send("GET", `/management/users?${query}`)).status, query).toBe(400);
    const json = { email: "true@example.com", agreement: { personal_guarantee_accepted: "True" } };
    const said = faults(await send("POST", "/management/users", { json }));
    expect(said, "JSON has booleans of its own").toEqual([400, ["agreement.personal_guarantee_accepted type"]]);
  });

  it("answers at an address with a slash behind it or two in its base, and elsewhere at none", async () => {
    const { account_id } = tenant;
    const json = { grant_type: "client_credentials", audience: tenant.issuer };
    const headers = { authorization: basic(tenant.client) };
    for (const path of [`v1//accounts/${account_id}/auth/token`, `v1/accounts/${account_id}//auth/token/`])
      await done(call(`${latchkey.url}/${path}`, { method: "POST", headers, json }));
    await done(send("GET", "/auth/clients/?x=/"));
    await done(
      authorize(
        { ...tenant, base: `${latchkey.url}//v1/accounts/${account_id}` },
        { verification_code: await mintCode(tenant, { format: "link" }) },
      ),
    );
    expect((await call(`${latchkey.url}/v1/account/user/`)).status).toBe(401);
    const exact = [
      `/v1/accounts/${account_id}/oauth/jwks.json/`,
      `/v1/accounts/${account_id}/.well-known/openid-configuration/`,
    ];
    for (const path of [...exact, `/v1//accounts/${account_id}/oauth/jwks.json`])
      expect((await call(`${latchkey.url}${path}`)).status, path).toBe(404);
  });

  it.each(["", "none", "undefined", "json", "a/b/c;d"])(
    "takes an empty body for none, under the type %j",
    async (type) => {
      const own = await addClient(latchkey, tenant.account_id);
      await addGrant(latchkey, tenant.account_id, own, tenant.issuer, ["admin:accounts"]);
      const authorization = `Bearer ${await tokenOf(latchkey, tenant.account_id, own)}`;
      const { pathname } = new URL(`${tenant.base}/auth/clients/${own.id}/rotate-secret`);
      const head = `POST ${pathname} HTTP/1.1\r\nHost: localhost\r\nConnection: close\r\nAuthorization: ${authorization}\r\nContent-Type: ${type}\r\n`;
      const ask = async (rest: string) => {
        const socket = connect(Number(new URL(latchkey.url).port), "127.0.0.1");
        socket.write(`${head}${rest}`);
        let answer = "";
        for await (const piece of socket) answer += piece;
        return Number(answer.split(" ", 2)[1]);
      };
      expect(await ask("Content-Length: 2\r\n\r\n{}")).toBe(415);
      expect(await ask("Content-Length: 0\r\n\r\n")).toBe(200);
      expect(await ask("Transfer-Encoding: chunked\r\n\r\n0\r\n\r\n")).toBe(200);
      expect(await ask("\r\n")).toBe(200);
    },
  );
});

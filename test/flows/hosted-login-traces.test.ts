/** What a hosted login that goes wrong leaves behind: in the log, the figures and the audit trail. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { openLogger } from "../../src/telemetry/log.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";
import { openUpstream, type Upstream } from "../support/upstream.ts";

describeOnBothEngines("a hosted login that goes wrong", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let upstream: Upstream;
  let surfer: Surfer;
  const logs: string[] = [];
  beforeAll(async () => {
    const log = openLogger("info", { write: (line) => void logs.push(line) });
    latchkey = await startLatchkey(engine, { log, env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    const people = { ada: { email: tenant.user.email, email_verified: true } };
    upstream = await openUpstream(people, tenant);
  });
  beforeEach(() => {
    logs.length = 0;
    surfer = openSurfer(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await upstream.close();
  });

  const linesOf = (msg: string, code: string) =>
    logs.map((line) => JSON.parse(line)).filter((line) => line.msg === msg && line.code === code);
  async function counted(code: string): Promise<number> {
    const { text } = await call(`${latchkey.url}/metrics`);
    return Number(new RegExp(`^latchkey_refusals_total\\{code="${code}"\\} (\\d+)$`, "m").exec(text)?.[1] ?? 0);
  }
  async function eventsOf({ id }: TestClient) {
    const { read } = latchkey.server.core.storage;
    const of = read.selectFrom("audit_events").selectAll().where("account_id", "=", tenant.account_id);
    const rows = await of.where("entity", "=", id).where("outcome", "=", "failure").execute();
    return rows.map(({ action, actor, context }) => ({ action, actor, context: JSON.parse(context) }));
  }
  async function clientAt(oidc: Readonly<Record<string, unknown>> = {}): Promise<TestClient> {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    const about = { audience: "https://orders.example", scope: [], type: "authorization_code" };
    const json = { ...about, client_id: client.id, oidc: { client_id, client_secret, authority, ...oidc } };
    const reply = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
    expect(reply.status, reply.text).toBe(200);
    return client;
  }
  const begin = ({ client_id }: TestClient) => {
    const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
    return surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
  };
  async function goThere(client: TestClient) {
    const page = await begin(client);
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    return surfer.visit(new URL(link, page.url).href);
  }

  it("says that the provider refused us, and why", async () => {
    const client = await clientAt({ client_secret: "not-what-they-know-us-by" });
    const before = await counted("upstream_login_failed");
    const away = await goThere(client);
    const back = await upstream.answer("ada", Object.fromEntries(new URL(away.url).searchParams));
    expect((await surfer.visit(back)).html).toContain("did not log you in");
    const [line] = linesOf("request", "upstream_login_failed");
    expect(line).toMatchObject({ status: 303, route: "/v1/accounts/:oid/login/upstream/callback/:provider" });
    const detail = expect.stringMatching(/^127\.0\.0\.1:\d+ refused the code with 401 \(invalid_client\)$/);
    const { request_id } = line;
    expect(linesOf("refused", "upstream_login_failed")).toMatchObject([{ level: "warn", request_id, detail }]);
    expect(await counted("upstream_login_failed")).toBe(before + 1);
    const about = { client_id: client.id, reason: "upstream_login_failed", detail, request_id, ip: expect.any(String) };
    expect(await eventsOf(client)).toMatchObject([
      { action: "upstream_login.refused", actor: client.id, context: about },
    ]);
    const said = new URL(back).searchParams;
    for (const value of [said.get("code"), said.get("state"), tenant.user.email, "not-what-they-know-us-by"])
      expect(logs.join("")).not.toContain(value);
  });

  it("says that the provider cannot be reached, and what the error was", async () => {
    const client = await clientAt({ authority: `http://127.0.0.1:${await freePort()}` });
    const { html } = await goThere(client);
    expect(html).toContain("did not log you in");
    expect(html, "the address that nobody typed").not.toContain("aria-invalid");
    expect(linesOf("request", "upstream_login_failed")).toMatchObject([{ route: "/v1/accounts/:oid/login/upstream" }]);
    expect(linesOf("refused", "upstream_login_failed")).toMatchObject([{ level: "warn", cause: ["ECONNREFUSED"] }]);
    const detail = expect.stringContaining("cannot be reached");
    expect(await eventsOf(client)).toMatchObject([{ action: "upstream_login.refused", context: { detail } }]);
  });

  it("writes down what the provider calls the error, and nothing else that somebody puts there", async () => {
    for (const [error, said] of [
      ["access_denied", "access_denied"],
      ["a text of their own", "no code"],
    ] as const) {
      const client = await clientAt();
      const asked = new URL((await goThere(client)).url).searchParams;
      const answer = new URLSearchParams({ state: asked.get("state") ?? "", error, iss: upstream.issuer });
      expect((await surfer.visit(`${asked.get("redirect_uri")}?${answer}`)).html).toContain("did not log");
      const detail = expect.stringContaining(`logged nobody in (${said})`);
      expect(linesOf("refused", "upstream_login_failed").at(-1)).toMatchObject({ detail });
      expect(await eventsOf(client)).toMatchObject([{ context: { detail } }]);
    }
    expect(logs.join("")).not.toContain("of their own");
  });

  it("writes down a login whose person nobody here knows", async () => {
    const client = await clientAt({ trusted_domains: [] });
    const away = await goThere(client);
    await surfer.visit(await upstream.answer("ada", Object.fromEntries(new URL(away.url).searchParams)));
    expect(linesOf("request", "user_not_linked")).toHaveLength(1);
    const context = { reason: "user_not_linked" };
    expect(await eventsOf(client)).toMatchObject([{ action: "upstream_login.refused", context }]);
  });

  it("counts wrong codes and closed guesses", async () => {
    const client = await clientAt();
    const before = [await counted("invalid_verification_code"), await counted("too_many_attempts")] as const;
    const waiting = await surfer.act(await begin(client), "identify", { identifier: tenant.user.email });
    const right = (await inbox(tenant, tenant.user.email))[0]?.verification_code;
    const code = right === "000000" ? "000001" : "000000";
    await surfer.act(waiting, "code", { code });
    expect(await counted("invalid_verification_code")).toBe(before[0] + 1);
    expect(linesOf("request", "invalid_verification_code")).toMatchObject([{ method: "POST", status: 303 }]);
    expect(logs.join("")).not.toContain('"warn"');
    for (let n = 0; n < 10; n++) await surfer.act(waiting, "code", { code });
    expect(await counted("too_many_attempts")).toBeGreaterThan(before[1]);
  });
});

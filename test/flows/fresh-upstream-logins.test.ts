/**
 * A fresh login, asked for where people log in at somebody else's provider: what it says about when they did so is held
 * against what the client asked for (OpenID Connect Core §3.1.2.1, §3.1.3.7 step 13).
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { type MadeUpProvider, openMadeUpProvider } from "../support/made-up-provider.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letLoginsRest } from "../support/time.ts";

const HOURS = 10_800;

describeOnBothEngines("a fresh login at another provider", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  let provider: MadeUpProvider;
  /** What the provider's next ID token says. */
  let said: Readonly<Record<string, unknown>> = {};
  beforeAll(async () => {
    provider = await openMadeUpProvider(() => ({ email: "x", ...said }));
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    client = await addClient(latchkey, tenant.account_id, { first_party: true, signup: true });
    await addProvider(client);
  });
  const addProvider = async (client: TestClient) => {
    const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority: provider.issuer };
    const grant = { client_id: client.id, audience: "https://orders.example", scope: [], type: "authorization_code" };
    const json = { ...grant, oidc };
    const reply = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
    expect(reply.status, reply.text).toBe(200);
  };
  afterAll(async () => {
    await latchkey.close();
    await provider.close();
  });

  /** Somebody new logs in there. `ago`: seconds since they did so, as the provider says it. */
  async function logIn(more: Record<string, string>, ago: number | "silent" | "in words", sub: string, at = client) {
    const surfer = openSurfer(latchkey);
    const page = await surfer.visit(standardClient(latchkey, tenant, at).address(at, { state: "s", ...more }));
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const asked = answered(await surfer.visit(new URL(link, page.url).href));
    const auth_time = typeof ago === "number" ? Math.floor(Date.now() / 1000) - ago : "just now";
    said = { sub, nonce: asked.get("nonce"), ...(ago === "silent" ? {} : { auth_time }) };
    const query = new URLSearchParams({ code: "x", state: asked.get("state") ?? "" });
    const shown = await surfer.visit(`${asked.get("redirect_uri")}?${query}`);
    return { surfer, page, shown, auth_time };
  }

  const tracesOf = async (sub: string) => {
    const { read } = latchkey.server.core.storage;
    const links = read.selectFrom("federated_identities").select("user_id").where("subject", "=", sub);
    const events = read
      .selectFrom("audit_events")
      .select("context")
      .where("account_id", "=", tenant.account_id)
      .where("action", "=", "upstream_login.refused");
    const reasons = (await events.execute()).map(({ context }) => JSON.parse(context).reason);
    return { links: (await links.execute()).length, reasons };
  };

  it.each([
    ["an old login", { prompt: "login" }, HOURS],
    ["a login of before the request", { prompt: "login" }, 60],
    ["an old login, whatever max_age allows", { prompt: "login", max_age: "86400" }, HOURS],
    ["a login that is older than max_age", { max_age: "60" }, HOURS],
    ["silence, where prompt=login asked", { prompt: "login" }, "silent"],
    ["silence, where max_age asked", { max_age: "86400" }, "silent"],
    ["a time that is none", { max_age: "86400" }, "in words"],
  ] as const)("is not %s: the client is told so, and nobody is logged in", async (what, more, ago) => {
    const before = (await tracesOf(what)).reasons.length;
    const { surfer, page, shown } = await logIn(more, ago, what);
    expect(shown.url.startsWith(CALLBACK), shown.html).toBe(true);
    const answer = answered(shown);
    expect([answer.get("error"), answer.get("state"), answer.has("code")]).toEqual(["login_required", "s", false]);
    const { links, reasons } = await tracesOf(what);
    expect([links, reasons.slice(before)]).toEqual([0, ["login_required"]]);
    const again = standardClient(latchkey, tenant, client).address(client, { prompt: "none" });
    expect(answered(await surfer.visit(again)).get("error")).toBe("login_required");
    expect((await surfer.visit(page.url)).html, "the request is still open").toContain('value="identify"');
  });

  it.each([
    ["just now", { prompt: "login" }, 0],
    ["just now, by a clock that is slow", { prompt: "login" }, 20],
    ["within max_age", { max_age: "3600" }, 600],
    ["within max_age, by a clock that is slow", { max_age: "60" }, 80],
    ["long ago, where nothing fresh was asked for", {}, HOURS],
    ["at a time that is not told, where nothing fresh was asked for", {}, "silent"],
  ] as const)("is one of %s, and the ID token says when it was", async (what, more, ago) => {
    const { shown, auth_time } = await logIn(more, ago, what);
    const code = answered(shown).get("code") ?? "";
    const { body } = await standardClient(latchkey, tenant, client).redeem(code, client);
    if (typeof ago === "number") expect(claimsOf(body.id_token).auth_time).toBe(auth_time);
    else expect(claimsOf(body.id_token).sub).toBeTruthy();
  });

  it.each([
    ["60", 0, 50, true],
    ["60", 0, 100, false],
    ["60", 50, 20, true],
    ["3600", 3_540, 50, true],
    ["3600", 3_540, 100, false],
    ["0", 0, 50, true],
    ["0", 0, 100, false],
  ] as const)(
    "holds max_age=%s against one of %i s ago that lay %i s at the question of consent",
    async (max_age, ago, age, good) => {
      const third = await addClient(latchkey, tenant.account_id, { signup: true });
      await addProvider(third);
      const { surfer, shown } = await logIn({ max_age }, ago, `${max_age} ${ago} ${age}`, third);
      expect(shown.html).toContain('value="allow"');
      await letLoginsRest(latchkey, tenant.account_id, age);
      const answer = await surfer.act(shown, "allow");
      expect([answered(answer).has("code"), answer.html.includes('value="identify"')]).toEqual([good, !good]);
    },
  );

  it("leaves no more traces where it is old, from one address, than wrong codes do", async () => {
    const refused = async (sub: string) => answered((await logIn({ prompt: "login" }, HOURS, sub)).shown).get("error");
    expect(await refused("first")).toBe("login_required");
    const { reasons } = await tracesOf("first");
    await latchkey.server.core.storage.write(async ({ db }) => {
      const used = db.updateTable("budgets").set({ count: 50 }).where("account_id", "=", tenant.account_id);
      await used.where("budget", "=", "page_source").execute();
    });
    expect(await refused("second")).toBe("login_required");
    expect((await tracesOf("second")).reasons).toEqual(reasons);
  });
});

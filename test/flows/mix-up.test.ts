/**
 * Mix-up (RFC 9700 §4.4): a hostile provider, which a grant names, wants an honest one's answer delivered as its own, or
 * its own as the honest one's. Neither provider names itself in its answers.
 */
import { createHash, randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { type MadeUpProvider, openMadeUpProvider } from "../support/made-up-provider.ts";
import { answered, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

interface Provider extends MadeUpProvider {
  /** Every code that somebody wanted to redeem there. */
  readonly brought: string[];
  /** The one address that browsers are sent back to. */
  registered: string;
  /** Logs somebody in. @returns where the browser is sent then; undefined where that is not the registered address. */
  logIn(asked: URLSearchParams): string | undefined;
}

async function openProvider(): Promise<Provider> {
  const codes = new Map<string, URLSearchParams>();
  const brought: string[] = [];
  const made_up = await openMadeUpProvider((form) => {
    const code = form.get("code") ?? "";
    brought.push(code);
    const asked = codes.get(code);
    const challenge = createHash("sha256").update(form.get("code_verifier") ?? "");
    const asker = challenge.digest("base64url") === asked?.get("code_challenge");
    if (!asker || form.get("redirect_uri") !== asked?.get("redirect_uri")) return undefined;
    return { sub: randomUUID(), nonce: asked?.get("nonce"), email: "x" };
  });
  const provider: Provider = {
    ...made_up,
    brought,
    registered: "",
    logIn(asked) {
      if (asked.get("redirect_uri") !== provider.registered) return undefined;
      const code = randomUUID();
      codes.set(code, asked);
      return `${provider.registered}?${new URLSearchParams({ code, state: asked.get("state") ?? "" })}`;
    },
  };
  return provider;
}

describeOnBothEngines("a hostile provider beside an honest one", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let honest: Provider;
  let hostile: Provider;
  beforeAll(async () => {
    [honest, hostile] = [await openProvider(), await openProvider()];
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    const { client, grants } = await clientAt(honest);
    honest.registered = (await press(openSurfer(latchkey), client, grants[0])).asked.get("redirect_uri") ?? "";
  });
  afterAll(async () => {
    await latchkey.close();
    await Promise.all([honest.close(), hostile.close()]);
  });

  async function clientAt(...providers: Provider[]) {
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, signup: true });
    const grants: string[] = [];
    for (const { issuer: authority } of providers) {
      const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority };
      const grant = { client_id: client.id, audience: "https://orders.example", type: "authorization_code", scope: [] };
      const json = { ...grant, oidc };
      const reply = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
      expect(reply.status, reply.text).toBe(200);
      grants.push(reply.body.id);
    }
    return { client, grants };
  }

  const begin = (surfer: Surfer, client: TestClient, more = {}) =>
    surfer.visit(standardClient(latchkey, tenant, client).address(client, more));

  /** Presses a provider's button. @returns what the provider is asked. */
  async function press(surfer: Surfer, client: TestClient, grant = "", begun?: Shown) {
    const page = begun ?? (await begin(surfer, client));
    const links = [...page.html.matchAll(/href="(login\/upstream[^"]+)"/g)].map(([, link = ""]) => link);
    const link = links.find((one) => one.includes(grant))?.replaceAll("&amp;", "&") ?? "";
    return { page, asked: answered(await surfer.visit(new URL(link, page.url).href)) };
  }

  /** Asks as another question did, for an answer there and to that. */
  function redirected(asked: URLSearchParams, redirect_uri: string | null, state: string | null | undefined) {
    const other = new URLSearchParams(asked);
    other.set("redirect_uri", redirect_uri ?? "");
    other.set("state", state ?? "");
    return other;
  }

  it("gets no code of the honest one's, and nobody in as its victim", async () => {
    const [attacker, victim] = [openSurfer(latchkey), openSurfer(latchkey)];
    const own = await clientAt(honest);
    const begun = await press(attacker, own.client, own.grants[0]);
    const trap = await clientAt(hostile);
    const lured = await press(victim, trap.client, trap.grants[0]);
    const state = lured.asked.get("state");
    for (const { asked } of [begun, lured]) {
      const back = honest.logIn(redirected(begun.asked, asked.get("redirect_uri"), state));
      if (back) await victim.visit(back);
    }
    for (const code of hostile.brought) {
      const stolen = new URLSearchParams({ code, state: begun.asked.get("state") ?? "" });
      await attacker.visit(`${begun.asked.get("redirect_uri")}?${stolen}`);
    }
    const inside = answered(await begin(attacker, own.client, { prompt: "none" }));
    expect([hostile.brought, inside.get("error")]).toEqual([[], "login_required"]);
  });

  it("gets nobody in with what it was asked, where one client asks both", async () => {
    const { client, grants } = await clientAt(honest, hostile);
    const surfer = openSurfer(latchkey);
    const { page, asked } = await press(surfer, client, grants[1]);
    const [request, , secret] = (asked.get("state") ?? "").split(".");
    const before = honest.brought.length;
    for (const state of [`${request}.${grants[0]}.${secret}`, asked.get("state")]) {
      // The hostile provider's own login at the honest one, for the question that it was asked itself.
      const back = honest.logIn(redirected(asked, honest.registered, state)) ?? "";
      expect((await surfer.visit(back)).html).toContain("did not log you in");
    }
    expect(honest.brought).toHaveLength(before);
    const right = await press(surfer, client, grants[0], page);
    const back = new URL(honest.logIn(right.asked) ?? "");
    const elsewhere = `${asked.get("redirect_uri")}${back.search}`;
    expect((await surfer.visit(elsewhere)).html, "at the other's address").toContain("did not log you in");
    expect(answered(await surfer.visit(back.href)).get("code")).toBeTruthy();
  });
});

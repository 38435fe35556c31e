/** Answers of another provider that somebody made up: few of them reach that provider, or the audit trail. */
import { randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it, vi } from "vitest";
import { attempt } from "../../src/authentication/federation/attempts.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, call, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { type MadeUpProvider, openMadeUpProvider } from "../support/made-up-provider.ts";
import { setFactors } from "../support/people.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";

const ATTEMPTS = 30;
const LIMIT = 20;
const TOO_MANY = "Too many requests. Try again in";

describeOnBothEngines("answers that somebody makes up", (engine) => {
  let latchkey: Latchkey;
  let provider: MadeUpProvider;
  /** How often the provider was asked for tokens, and what its next ID token says where the code, `right:…`, does not. */
  let asked = 0;
  let nonce: string | null = null;
  /** For which it waits before it answers the code `held`. */
  let released: Promise<void> = Promise.resolve();
  beforeAll(async () => {
    provider = await openMadeUpProvider(async (form) => {
      asked += 1;
      const code = form.get("code") ?? "";
      if (code === "held") await released;
      const own = /^right:(.*)/.exec(code)?.[1];
      if (own === undefined && nonce === null) return undefined;
      return { sub: "ada", nonce: own ?? nonce, auth_time: Math.floor(Date.now() / 1000) };
    });
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
  });
  afterAll(async () => {
    await latchkey.close();
    await provider.close();
  });

  const open = async () => {
    const tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, signup: true });
    const oidc = { client_id: "latchkey", client_secret: "upstream-secret", authority: provider.issuer };
    const grant = { client_id: client.id, audience: "https://orders.example", scope: [], type: "authorization_code" };
    const json = { ...grant, oidc };
    const made = await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
    expect(made.status, made.text).toBe(200);
    return { tenant, standard: standardClient(latchkey, tenant, client) };
  };
  const begin = async (surfer: Surfer, standard: StandardClient, more: Readonly<Record<string, string>> = {}) => {
    const page = await surfer.visit(standard.address(undefined, more));
    const link = /href="(login\/upstream[^"]+)"/.exec(page.html)?.[1]?.replaceAll("&amp;", "&") ?? "";
    const start = new URL(link, page.url).href;
    return { start, away: answered(await surfer.visit(start)) };
  };
  const back = (away: URLSearchParams, code: string) =>
    `${away.get("redirect_uri")}?${new URLSearchParams({ code, state: away.get("state") ?? "" })}`;
  const events = async ({ account_id }: Tenant) => {
    const found = latchkey.server.core.storage.read.selectFrom("audit_events").select("id");
    const own = found.where("account_id", "=", account_id).where("action", "=", "upstream_login.refused");
    return (await own.execute()).length;
  };
  /** The clock stands, so that no window ends meanwhile. */
  const standing = async (deed: (pass: (milliseconds: number) => void) => Promise<void>) => {
    const { storage } = latchkey.server.core;
    const now = storage.now();
    const clock = vi.spyOn(storage, "now").mockReturnValue(now);
    try {
      await deed((milliseconds) => void clock.mockReturnValue(now + milliseconds));
    } finally {
      clock.mockRestore();
    }
  };

  it("leave no more traces from one address than wrong codes do, by however many browsers, and are refused all the same", () =>
    standing(async () => {
      const { tenant, standard } = await open();
      nonce = null;
      const make = async () => {
        const surfer = openSurfer(latchkey);
        const { away } = await begin(surfer, standard);
        return (await surfer.visit(back(away, "made-up"))).html;
      };
      const page = await make();
      expect(await events(tenant)).toBe(1);
      await latchkey.server.core.storage.write(async ({ db }) => {
        const used = db.updateTable("budgets").set({ count: 50 }).where("account_id", "=", tenant.account_id);
        await used.where("budget", "=", "page_source").execute();
      });
      const status = /role="alert"[^>]*>([^<]+)/;
      expect(status.exec(await make())?.[1]).toBe(status.exec(page)?.[1]);
      expect(await events(tenant)).toBe(1);
    }));

  it("ask the provider a few times a minute, and whoever does log in there counts for nothing", () =>
    standing(async (pass) => {
      const { tenant, standard } = await open();
      const surfer = openSurfer(latchkey);
      const { away } = await begin(surfer, standard);
      [asked, nonce] = [0, null];
      const shown = [];
      for (let round = 0; round < ATTEMPTS; round++) shown.push(await surfer.visit(back(away, `made-up-${round}`)));
      expect([asked, await events(tenant)]).toEqual([LIMIT, LIMIT]);
      expect(shown.map(({ html }) => html.includes(TOO_MANY)).lastIndexOf(false)).toBe(LIMIT - 1);
      pass(61_000);
      for (let round = 0; round < LIMIT + 2; round++) {
        const [own, next] = [openSurfer(latchkey), standard];
        const { away } = await begin(own, next);
        nonce = away.get("nonce");
        expect(answered(await own.visit(back(away, "right"))).get("code"), `round ${round}`).toBeTruthy();
      }
    }));

  it("nor does a provider that nobody has fill the audit trail", () =>
    standing(async () => {
      const { tenant, standard } = await open();
      const surfer = openSurfer(latchkey);
      const { start } = await begin(surfer, standard);
      const none = new URL(start);
      none.searchParams.set("with", "none");
      for (let round = 0; round < ATTEMPTS; round++) await surfer.visit(none.href);
      expect(await events(tenant)).toBe(LIMIT);
    }));

  it("are told from right ones that come at once, of which none is refused", () =>
    standing(async () => {
      const { directory, storage } = latchkey.server.core;
      const { account_id } = await createTenant(latchkey);
      const people = LIMIT + 5;
      let [under_way, release] = [0, () => {}];
      const all = new Promise<void>((resolve) => {
        release = resolve;
      });
      const work = async () => {
        under_way += 1;
        if (under_way === people) release();
        await all;
      };
      const from = { browser: randomBytes(32), address: "203.0.113.70" };
      const once = (deed: () => Promise<void>) => attempt(directory, account_id, from, storage.now(), deed);
      const together = Promise.all(Array.from({ length: people }, () => once(work)));
      await together.catch((error: unknown) => {
        release();
        throw error;
      });
      const wrong = async () => {
        throw new Error("made up");
      };
      for (let round = 0; round < LIMIT; round++) await expect(once(wrong)).rejects.toThrow("made up");
      await expect(once(wrong)).rejects.toMatchObject({ code: "too_many_requests" });
    }));

  it("use up nothing of other browsers at their address, whether or not somebody has logged in there", () =>
    standing(async () => {
      const { standard } = await open();
      nonce = null;
      const right = async (surfer: Surfer) => {
        const { away } = await begin(surfer, standard, { prompt: "login" });
        return surfer.visit(back(away, `right:${away.get("nonce")}`));
      };
      const [ada, stranger, somebody] = [openSurfer(latchkey), openSurfer(latchkey), openSurfer(latchkey)];
      expect(answered(await right(ada)).get("code")).toBeTruthy();
      const { away } = await begin(stranger, standard);
      for (let round = 0; round < ATTEMPTS; round++) await stranger.visit(back(away, `made-up-${round}`));
      expect((await stranger.visit(back(away, "made-up"))).html).toContain(TOO_MANY);
      for (const own of [ada, somebody]) expect(answered(await right(own)).get("code")).toBeTruthy();
    }));

  it("are bounded at one address, however many cookies bring them", () =>
    standing(async () => {
      const { directory, storage } = latchkey.server.core;
      const { account_id } = await createTenant(latchkey);
      const made_up = async (browser: Uint8Array, address = "203.0.113.71") => {
        const work = () => Promise.reject(new Error("made up"));
        await attempt(directory, account_id, { browser, address }, storage.now(), work).catch(() => {});
      };
      const counted = async () => {
        const found = storage.read.selectFrom("budgets").select("count").where("account_id", "=", account_id);
        return (await found.where("budget", "=", "upstream_source").execute()).map(({ count }) => Number(count));
      };
      for (let n = 0; n < 11; n++) {
        const browser = randomBytes(32);
        for (let round = 0; round < LIMIT; round++) await made_up(browser);
      }
      expect(await counted()).toEqual(Array(10).fill(LIMIT));
      await made_up(randomBytes(32), "203.0.113.72");
      expect((await counted()).toSorted()).toEqual([1, ...Array(10).fill(LIMIT)]);
    }));

  it("take no first factor back that was shown meanwhile in the same browser", async () => {
    const { tenant, standard } = await open();
    nonce = null;
    const surfer = openSurfer(latchkey);
    const { away } = await begin(surfer, standard);
    const linked = latchkey.server.core.storage.read.selectFrom("federated_identities").select("user_id");
    const known = openSurfer(latchkey);
    const own = await begin(known, standard);
    await known.visit(back(own.away, `right:${own.away.get("nonce")}`));
    const { user_id } = await linked.where("account_id", "=", tenant.account_id).executeTakeFirstOrThrow();
    await setFactors(latchkey, tenant.account_id, user_id, { sms: "+4740999801" });
    let release = () => {};
    released = new Promise((resolve) => {
      release = resolve;
    });
    asked = 0;
    const late = surfer.visit(back(away, "held"));
    await expect.poll(() => asked).toBe(1);
    const right = await surfer.visit(back(away, `right:${away.get("nonce")}`));
    expect(right.html).toContain('value="challenge"');
    release();
    expect((await late).html).toContain('value="challenge"');
  });
});

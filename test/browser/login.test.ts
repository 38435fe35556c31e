/** The login pages in real Chromium: without a script, with the keyboard alone, readable for everybody, small. */
import { randomBytes } from "node:crypto";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Browser, BrowserContextOptions, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { executablePath, openChromium } from "../support/chromium.ts";
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
import { expectAccessible, expectFit } from "../support/looks.ts";
import { logInAccountUser, setFactors } from "../support/people.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";

/** Words that no line of a phone holds, and no hyphen divides. */
const LONG_NAME = "Selvbetjeningsløsningsportalenforkommunen";
const longAddress = () => `christopherjohannessen${randomBytes(4).toString("hex")}@helsedirektoratetoslo.example`;

/** A client's address that only sends browsers on, as that of a broker does. */
async function openBroker(location: string): Promise<{ address: string; close(): Promise<unknown> }> {
  const server = createServer((_request, response) => response.writeHead(302, { location }).end());
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return { address: `http://127.0.0.1:${port}/broker`, close: () => new Promise((resolve) => server.close(resolve)) };
}

describe.skipIf(!executablePath)("the login pages in Chromium", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let browser: Browser;
  let client: TestClient;
  let shop: Receiver;
  let callback: string;
  beforeAll(async () => {
    shop = await openReceiver();
    callback = `${shop.url}/callback`;
    latchkey = await startLatchkey("sqlite");
    tenant = await createTenant(latchkey, {
      settings: { brand: { colour: "#7a1f4b", terms_uri: "https://shop.example/terms" } },
    });
    client = await addClient(latchkey, tenant.account_id, { callbacks: [callback] });
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser.close();
    await latchkey.close();
    await shop.close();
  });

  const address = (more: Record<string, string> = {}) => {
    const about = {
      client_id: client.client_id,
      redirect_uri: callback,
      response_type: "code",
      scope: "openid email",
    };
    return `${tenant.issuer}/oauth/authorize?${new URLSearchParams({ ...about, state: "s", ...more })}`;
  };
  const newest = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";

  async function logIn(page: Page, more: Record<string, string>): Promise<void> {
    const { email } = await addUser(latchkey, tenant.account_id);
    await page.goto(address(more));
    await page.fill("#identifier", email);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#code");
    await page.fill("#code", await newest(email));
    await page.keyboard.press("Enter");
  }

  /** A page, and what was asked of anybody but the server and the callback. */
  async function open(
    options: BrowserContextOptions = {},
  ): Promise<{ page: Page; foreign: string[]; sizes: number[] }> {
    const context = await browser.newContext(options);
    const page = await context.newPage();
    const foreign: string[] = [];
    const sizes: number[] = [];
    page.on("request", (request) => {
      if (!request.url().startsWith(latchkey.config.public_url) && !request.url().startsWith(callback))
        foreign.push(request.url());
    });
    page.on("response", async (response) => {
      if (response.status() === 200 && response.url().includes("/login")) sizes.push((await response.body()).length);
    });
    return { page, foreign, sizes };
  }

  async function rename({ id }: TestClient, name: string): Promise<void> {
    const asked = { method: "PATCH", token: tenant.token, json: { name } };
    expect((await call(`${tenant.base}/auth/clients/${id}`, asked)).status).toBe(200);
  }

  it("log in with the keyboard alone and no script, and nothing is asked of anybody else", async () => {
    const { page, foreign, sizes } = await open({ javaScriptEnabled: false });
    const user = await addUser(latchkey, tenant.account_id);
    await page.goto(address());
    // Chromium focuses a field after it has loaded the page; what is typed before that is nobody's.
    await page.waitForSelector("#identifier:focus");
    await page.keyboard.type(user.email);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#code:focus");
    expect(await page.getAttribute("#code", "autocomplete")).toBe("one-time-code");
    const code = await newest(user.email);
    expect(code).toMatch(/^\d{6}$/);
    await page.keyboard.type(code);
    await page.keyboard.press("Enter");
    await page.waitForSelector("text=Allow");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    expect(await page.evaluate<string>("document.activeElement.textContent").catch(() => "Allow")).toContain("Allow");
    await page.click("text=Allow >> nth=0");
    await page.waitForURL(`${callback}**`);
    expect(new URL(page.url()).searchParams.get("code")).toBeTruthy();
    expect(foreign).toEqual([]);
    expect(Math.max(...sizes)).toBeLessThan(30_000);
    // Logged in and agreed: the next time nothing is asked.
    await page.goto(address());
    await page.waitForURL(`${callback}**`);
    await page.context().close();
  });

  it("take a double click as one", async () => {
    const own = await addClient(latchkey, tenant.account_id, { callbacks: [callback], first_party: true });
    async function clickTwice(page: Page) {
      const { x = 0, y = 0 } = (await page.locator("button.main").boundingBox()) ?? {};
      await page.mouse.click(x + 5, y + 5);
      await page.waitForTimeout(100);
      await page.mouse.click(x + 5, y + 5);
    }
    const { page } = await open();
    // The second click comes before the first one's answer.
    const network = await page.context().newCDPSession(page);
    const slow = { offline: false, latency: 400, downloadThroughput: -1, uploadThroughput: -1 };
    await network.send("Network.emulateNetworkConditions", slow);
    const user = await addUser(latchkey, tenant.account_id);
    await page.goto(address({ client_id: own.client_id }));
    await page.fill("#identifier", user.email);
    await clickTwice(page);
    await page.waitForSelector("#code");
    await page.waitForLoadState("networkidle");
    expect(await inbox(tenant, user.email), "one message").toHaveLength(1);
    await page.fill("#code", await newest(user.email));
    await clickTwice(page);
    await page.waitForFunction('document.querySelector("#code") === null', undefined, { timeout: 10_000 });
    await page.waitForLoadState("networkidle");
    expect(page.url()).toContain(`${callback}?code=`);
    await page.context().close();
  });

  it("lead to a program of this machine that listens at an IPv6 address, with a redirect and with a form", async () => {
    const program = createServer((_request, response) => response.end("back"));
    await new Promise<void>((resolve) => program.listen(0, "::1", resolve));
    const redirect_uri = `http://[::1]:${(program.address() as AddressInfo).port}/back`;
    const own = await addClient(latchkey, tenant.account_id, { callbacks: [redirect_uri], first_party: true });
    for (const response_mode of ["query", "form_post"]) {
      const page = await browser.newPage();
      await logIn(page, { client_id: own.client_id, redirect_uri, response_mode });
      await page.waitForURL(`${redirect_uri}**`);
      await page.close();
    }
    await new Promise((resolve) => program.close(resolve));
  });

  // A policy's form-action would hold for every redirect after a form, not for the first alone.
  it.each(["query", "form_post"])(
    "lead on through a callback that leads elsewhere itself (%s)",
    async (response_mode) => {
      for (const goal of [`${callback}?through=broker`, "com.example.app:/back"]) {
        const broker = await openBroker(goal);
        const own = await addClient(latchkey, tenant.account_id, { callbacks: [broker.address], first_party: true });
        const page = await browser.newPage();
        await Promise.all([
          page.waitForRequest((request) => request.url() === goal, { timeout: 15_000 }),
          logIn(page, { client_id: own.client_id, redirect_uri: broker.address, response_mode }),
        ]);
        await page.close();
        await broker.close();
      }
    },
  );

  it("lead on from the logout through an address that leads elsewhere itself", async () => {
    const broker = await openBroker(`${callback}?through=logout`);
    const own = await addClient(latchkey, tenant.account_id, {
      callbacks: [callback],
      post_logout_redirect_uris: [broker.address],
      first_party: true,
    });
    const { client_id } = own;
    const page = await browser.newPage();
    await logIn(page, { client_id });
    await page.waitForURL(`${callback}?code=**`);
    const leaving = new URLSearchParams({ client_id, post_logout_redirect_uri: broker.address });
    await page.goto(`${tenant.issuer}/oauth/logout?${leaving}`);
    await page.click("button.main");
    await page.waitForURL(`${callback}?through=logout`, { timeout: 10_000 });
    await page.close();
    await broker.close();
  });

  it.each([
    ["light", 1280, "en"],
    ["dark", 320, "de"],
    ["light", 320, "nb"],
    ["dark", 1280, "sv"],
  ] as const)("have no serious finding of axe, and fit (%s, %i pixels, %s)", async (colorScheme, width, locale) => {
    const { page } = await open({ colorScheme, viewport: { width, height: 720 }, locale });
    const email = longAddress();
    const user = await addUser(latchkey, tenant.account_id, { email });
    await setFactors(latchkey, tenant.account_id, user.id, { sms: user.phone_number });
    const portal = await addClient(latchkey, tenant.account_id, { callbacks: [callback] });
    await rename(portal, LONG_NAME);
    const fits = async (what: string) => {
      await expectFit(page, what);
      await expectAccessible(page, what);
    };
    await page.goto(address({ client_id: portal.client_id }));
    expect(await page.getAttribute("html", "lang")).toBe(locale);
    await fits("identify");
    await page.fill("#identifier", user.email);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#code");
    await page.fill("#code", "000000");
    await page.keyboard.press("Enter");
    await page.waitForSelector("[role=alert]");
    await fits("code");
    await page.fill("#code", await newest(user.email));
    await page.keyboard.press("Enter");
    await page.waitForSelector("[name=channel]", { state: "attached" });
    await fits("factor");
    await page.click("button.main");
    await page.waitForSelector("#code");
    await page.fill("#code", await newest(user.phone_number));
    await page.keyboard.press("Enter");
    await page.waitForSelector("ul");
    await fits("consent");
    await page.goto(`${tenant.issuer}/oauth/authorize?client_id=${"nobody".repeat(10)}`);
    await fits("error");
    await page.goto(`${tenant.issuer}/oauth/logout`);
    await fits("logout");
    await page.click("button.main");
    await fits("logged out");
    await page.context().close();
  });

  it.each([
    ["light", 1280, "da"],
    ["dark", 320, "en"],
  ] as const)(
    "of devices, providers and the sandbox are no different (%s, %i pixels, %s)",
    async (colorScheme, width, locale) => {
      const { page } = await open({ colorScheme, viewport: { width, height: 720 }, locale });
      const fits = async (what: string) => {
        await expectFit(page, what);
        await expectAccessible(page, what);
      };
      const grant_types = ["authorization_code" as const, "urn:ietf:params:oauth:grant-type:device_code" as const];
      const television = await addClient(latchkey, tenant.account_id, { callbacks: [callback], grant_types });
      await rename(television, LONG_NAME);
      const oidc = { client_id: "x", client_secret: "x", authority: `https://${"elsewhere".repeat(6)}.example` };
      const grant = {
        client_id: television.id,
        audience: "https://o.example",
        scope: [],
        type: "authorization_code",
        oidc,
      };
      await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
      await page.goto(address({ client_id: television.client_id }));
      await page.waitForSelector("a.button");
      await fits("provider");
      const authorization = basic(television);
      const ask = { method: "POST", headers: { authorization }, form: { scope: "openid email" } };
      const { body } = await call(`${tenant.base}/oauth/device_authorization`, ask);
      await page.goto(`${tenant.issuer}/device`);
      await page.fill("#user_code", "wrong");
      await page.keyboard.press("Enter");
      await page.waitForSelector("[role=alert]");
      await fits("device");
      await page.goto(body.verification_uri_complete);
      await page.click("button.main");
      const user = await addUser(latchkey, tenant.account_id, { email: longAddress() });
      await page.fill("#identifier", user.email);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#code");
      await page.fill("#code", await newest(user.email));
      await page.keyboard.press("Enter");
      await page.waitForSelector("ul");
      await fits("device-consent");
      await page.click("button.main");
      await page.waitForURL("**/device?done=yes");
      await fits("device-done");
      await page.goto(`${tenant.issuer}/login/consents`);
      await fits("consents");
      await page.goto(`${tenant.issuer}/sandbox`);
      await fits("sandbox-login");
      const staff = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
      await page.click("button.main");
      await page.fill("#identifier", staff.email);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#code");
      await page.fill("#code", await newest(staff.email));
      await page.keyboard.press("Enter");
      await page.waitForSelector("details");
      await page.click("summary >> nth=0");
      await fits("sandbox");
      await page.context().close();
    },
  );

  it.each(["#ffe600", "#808080", "#101010"])("can be read with any colour of an account (%s)", async (colour) => {
    const { issuer, account_id } = await createTenant(latchkey, { settings: { brand: { colour } } });
    const { client_id } = await addClient(latchkey, account_id, { callbacks: [callback] });
    const asked = new URLSearchParams({ client_id, redirect_uri: callback, response_type: "code", scope: "openid" });
    const { page } = await open();
    await page.goto(`${issuer}/oauth/authorize?${asked}`);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await expectFit(page, `${colour.slice(1)}-${colorScheme}`);
      await expectAccessible(page, `${colour}, ${colorScheme}`);
    }
    await page.context().close();
  });

  it("keep two people apart in one browser, and let one of them be chosen", async () => {
    const { page } = await open();
    await page.setViewportSize({ width: 320, height: 720 });
    const people = [
      await addUser(latchkey, tenant.account_id, { email: longAddress() }),
      await addUser(latchkey, tenant.account_id, { email: longAddress() }),
    ];
    for (const { email } of people) {
      await page.goto(address({ prompt: "login" }));
      await page.fill("#identifier", email);
      await page.keyboard.press("Enter");
      await page.waitForSelector("#code");
      await page.fill("#code", await newest(email));
      await page.keyboard.press("Enter");
      await page.click("text=Allow >> nth=0");
      await page.waitForURL(`${callback}**`);
    }
    await page.goto(address());
    for (const { email } of people) expect(await page.textContent("main")).toContain(email);
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await expectFit(page, `choose-${colorScheme}`);
      await expectAccessible(page, `choose, ${colorScheme}`);
    }
    await page.click(`text=${people[0]?.email}`);
    await page.waitForURL(`${callback}**`);
    await page.context().close();
  });

  it("go on to a form_post callback by a button where no script runs", async () => {
    const { page } = await open({ javaScriptEnabled: false });
    await page.goto(address({ prompt: "none", response_mode: "form_post" }));
    expect(await page.textContent("h1")).toBe(`You will be sent to ${new URL(callback).hostname}.`);
    expect((await page.locator("button").boundingBox())?.height, "for a thumb").toBeGreaterThanOrEqual(44);
    await page.click("text=Continue");
    await page.waitForURL(`${callback}**`);
    await page.context().close();
  });

  it("go on to a form_post callback by themselves", async () => {
    const { page } = await open();
    await page.goto(address({ prompt: "none", response_mode: "form_post", state: `"><script>alert(1)</script>&` }));
    await page.waitForURL(`${callback}**`);
    await page.context().close();
  });
});

/**
 * Pages on a phone whose reader made text twice as large (WCAG 2.2 §1.4.4): codes can be read whole and compared, and
 * nothing stands where nobody sees it. And the viewer of the interface, under the policy that it is served with.
 */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { executablePath, openChromium } from "../support/chromium.ts";
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
  type TestClient,
} from "../support/latchkey.ts";
import { logInAccountUser } from "../support/people.ts";
import { pkce } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const AN_APP = "com.example.app:/cb";

/** What cannot be read: text that is wider than its field, and what runs over the card. */
const HIDDEN = `[...document.querySelectorAll("input:not([type=hidden])")]
  .filter((field) => field.scrollWidth > field.clientWidth)
  .map((field) => field.value + " in " + field.clientWidth)
  .concat([...document.querySelectorAll("main *")]
    .filter((one) => one.getBoundingClientRect().right > document.querySelector("main").getBoundingClientRect().right)
    .map((one) => one.outerHTML))`;

describe.skipIf(!executablePath)("in Chromium", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  let app: TestClient;
  let browser: Browser;
  beforeAll(async () => {
    latchkey = await startLatchkey("sqlite");
    tenant = await createTenant(latchkey);
    const grant_types = ["authorization_code" as const, "urn:ietf:params:oauth:grant-type:device_code" as const];
    client = await addClient(latchkey, tenant.account_id, { grant_types, signup: true });
    const open = { first_party: true, token_endpoint_auth_method: "none" } as const;
    app = await addClient(latchkey, tenant.account_id, { ...open, callbacks: [AN_APP] });
    const oidc = { client_id: "x", client_secret: "x", authority: "https://accounts.elsewhere.example" };
    const grant = { client_id: client.id, audience: "https://o.example", scope: [], type: "authorization_code", oidc };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    browser = await openChromium("--blink-settings=defaultFontSize=32,defaultFixedFontSize=26");
  });
  afterAll(async () => {
    await browser.close();
    await latchkey.close();
  });

  const address = (more: Readonly<Record<string, string>> = {}) => {
    const { client_id } = client;
    const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid email", ...more };
    return `${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`;
  };
  const newest = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";

  async function reads(page: Page, what: string): Promise<void> {
    const { width = 0 } = page.viewportSize() ?? {};
    expect(await page.evaluate<number>("parseFloat(getComputedStyle(document.documentElement).fontSize)")).toBe(32);
    expect(await page.evaluate<number>("document.documentElement.scrollWidth"), what).toBeLessThanOrEqual(width);
    expect(await page.evaluate<string[]>(HIDDEN), what).toEqual([]);
    if (process.env.SCREENSHOTS)
      await page.screenshot({ path: `${process.env.SCREENSHOTS}/large-${what}-${width}.png`, fullPage: true });
  }

  it.each([
    [360, "de", "light"],
    [360, "nb", "dark"],
    [320, "sv", "light"],
  ] as const)("pages of %i pixels can be read whole at twice the size (%s, %s)", async (width, locale, colorScheme) => {
    const context = await browser.newContext({ viewport: { width, height: 740 }, locale, colorScheme });
    const page = await context.newPage();
    const asked = { method: "POST", headers: { authorization: basic(client) }, form: { scope: "openid" } };
    const { body } = await call(`${tenant.base}/oauth/device_authorization`, asked);
    await page.goto(body.verification_uri_complete);
    expect(await page.inputValue("#user_code")).toMatch(/^\w{4}-\w{4}$/);
    await reads(page, "device");
    const { email } = await addUser(latchkey, tenant.account_id);
    await page.goto(address());
    await page.fill("#identifier", "");
    await reads(page, "identify");
    await page.fill("#identifier", email);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#code");
    for (const code of ["000000", "WMWMW-MWMWM"]) {
      await page.fill("#code", code);
      await reads(page, `code-${code.length}`);
    }
    await page.fill("#code", await newest(email));
    await page.keyboard.press("Enter");
    await page.waitForSelector("ul");
    await reads(page, "consent");
    await page.route(`${CALLBACK}**`, (route) => route.fulfill({ body: "back" }));
    await page.click("button.main");
    await page.waitForURL(`${CALLBACK}**`);
    await page.goBack();
    await page.waitForSelector("a.button");
    await reads(page, "answered");
    await page.goto(address({ client_id: app.client_id, redirect_uri: AN_APP, ...pkce }));
    await page.waitForSelector("[value=choose]", { state: "attached" });
    await reads(page, "confirm");
    await openSurfer(latchkey).logIn(address(), tenant, email);
    for (const path of ["login/consents", "oauth/logout", "nothing"]) {
      await page.goto(`${tenant.issuer}/${path}`);
      await reads(page, path.replace("/", "-"));
    }
    await page.goto(`${tenant.issuer}/oauth/logout`);
    await page.click("button[value=no]");
    await reads(page, "stayed");
    await page.goto(`${tenant.issuer}/sandbox`);
    const staff = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    await page.click("button.main");
    await page.fill("#identifier", staff.email);
    await page.keyboard.press("Enter");
    await page.waitForSelector("#code");
    await page.fill("#code", await newest(staff.email));
    await page.keyboard.press("Enter");
    await page.waitForSelector("details");
    await page.click("summary >> nth=0");
    await reads(page, "sandbox");
    await context.close();
  });

  it("the viewer of the interface fits, shows its operations, and its policy is in nobody's way", async () => {
    const page = await browser.newPage({ viewport: { width: 360, height: 740 } });
    const errors: string[] = [];
    page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
    await page.goto(`${latchkey.config.public_url}/docs`);
    await page.waitForSelector(".opblock");
    expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(360);
    expect(await page.locator(".topbar").isVisible(), "offers to open other documents").toBe(false);
    await page.locator(".opblock").first().click();
    await page.waitForSelector(".opblock.is-open");
    expect(errors).toEqual([]);
    await page.close();
  });

  it.each([
    [360, 740],
    [1280, 800],
  ])(
    "the viewer begins with operations at %i px, folds the errors before them, and is as dark as the browser",
    async (width, height) => {
      const page = await browser.newPage({ viewport: { width, height }, colorScheme: "dark" });
      const errors: string[] = [];
      page.on("console", (message) => message.type() === "error" && errors.push(message.text()));
      await page.goto(`${latchkey.config.public_url}/docs`);
      await page.waitForSelector(".opblock");
      expect((await page.locator(".opblock").first().boundingBox())?.y).toBeLessThan(height);
      const table = page.locator(".info table");
      expect(await table.isVisible()).toBe(false);
      await page.locator(".info summary").click();
      expect(await table.locator("tr").count()).toBeGreaterThan(39);
      expect(await page.evaluate<number>("document.documentElement.scrollWidth")).toBeLessThanOrEqual(width);
      const paper = () => page.evaluate<string>("getComputedStyle(document.documentElement).backgroundColor");
      expect(await paper()).toBe("rgb(28, 32, 34)");
      await page.emulateMedia({ colorScheme: "light" });
      await expect.poll(paper).not.toBe("rgb(28, 32, 34)");
      await page.emulateMedia({ colorScheme: "dark" });
      await expect.poll(paper).toBe("rgb(28, 32, 34)");
      expect(errors).toEqual([]);
      await page.close();
    },
  );
});

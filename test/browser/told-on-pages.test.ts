/** What pages tell beside the login, on a phone in Chromium: light and dark, with the keyboard alone and no script. */
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { executablePath, openChromium } from "../support/chromium.ts";
import {
  addClient,
  addUser,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { expectAccessible, expectFit } from "../support/looks.ts";
import { type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letCodesRest } from "../support/time.ts";

const LONG_NAME = `Selvbetjeningsløsningen for ${"kommunene i fellesforetaket og ".repeat(4)}velferd`;

describe.skipIf(!executablePath)("in Chromium on a phone", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let standard: StandardClient;
  let browser: Browser;
  beforeAll(async () => {
    latchkey = await startLatchkey("sqlite");
    tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id);
    const renamed = { method: "PATCH", token: tenant.token, json: { name: LONG_NAME } };
    expect((await call(`${tenant.base}/auth/clients/${client.id}`, renamed)).status).toBe(200);
    standard = standardClient(latchkey, tenant, client);
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser.close();
    await latchkey.close();
  });

  const open = (more: Parameters<Browser["newPage"]>[0] = {}) =>
    browser.newPage({ viewport: { width: 360, height: 740 }, ...more });
  const looks = async (page: Page, what: string) => {
    for (const colorScheme of ["light", "dark"] as const) {
      await page.emulateMedia({ colorScheme });
      await expectFit(page, `${what}-${colorScheme}`);
      await expectAccessible(page, `${what}, ${colorScheme}`);
    }
  };
  const enter = async (page: Page, selector: string, text: string) => {
    await page.fill(selector, text);
    await page.keyboard.press("Enter");
  };

  it.each(["en", "de"])("pages can be read, and do not stand over their edge (%s)", async (locale) => {
    const page = await open({ locale });
    const home = `${latchkey.config.public_url}/`;
    await page.goto(home);
    await looks(page, `home-${locale}`);
    await page.goto(`${home}nothing`);
    await looks(page, `no-such-address-${locale}`);
    await page.goto(`${tenant.issuer}/login?request=nothing`);
    await looks(page, `no-login-${locale}`);
    await page.route(`${CALLBACK}**`, (route) => route.fulfill({ body: "back" }));
    const people = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    for (const { email } of people) {
      await page.goto(standard.address(undefined, { prompt: "login" }));
      await enter(page, "#identifier", email);
      await page.waitForSelector("#code");
      await looks(page, `code-${locale}`);
      await enter(page, "#code", (await inbox(tenant, email))[0]?.verification_code ?? "");
      await page.waitForSelector("ul");
      await looks(page, `consent-${locale}`);
      await page.click("button.main");
      await page.waitForURL(`${CALLBACK}**`);
    }
    for (const { email } of people) {
      const elsewhere = openSurfer(latchkey);
      await elsewhere.logIn(standard.address(), tenant, email);
    }
    await page.goto(`${tenant.issuer}/login/consents`);
    await looks(page, `consents-${locale}`);
    await page.click("#withdraw-0");
    await page.waitForSelector("[role=status]");
    await page.click("#end-0-1");
    await page.waitForSelector("#end-0-1", { state: "detached" });
    await looks(page, `ended-${locale}`);
    await page.click("#out");
    await page.waitForURL("**/oauth/logout");
    await looks(page, `out-${locale}`);
    const identifier = `typo-${locale}@exmaple.com`;
    for (let n = 0; n < 4; n++) {
      const other = openSurfer(latchkey);
      await other.act(await other.visit(standard.address()), "identify", { identifier });
    }
    await page.goto(standard.address(undefined, { prompt: "login" }));
    await enter(page, "#identifier", identifier);
    await page.waitForSelector("#code");
    await letCodesRest(latchkey, tenant.account_id, 31);
    await page.click("button.other");
    await page.waitForSelector("#problem");
    await looks(page, `wait-${locale}`);
    await page.context().close();
  });

  it("a mistyped address is mended with the keyboard alone and no script", async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(standard.address());
    await page.waitForSelector("#identifier:focus");
    await page.keyboard.type("typo@exmaple.com");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#code:focus");
    for (const _ of ["continue", "again", "another"]) await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForSelector("#identifier:focus");
    expect(await page.inputValue("#identifier")).toBe("typo@exmaple.com");
    await page.context().close();
  });

  it("another browser is logged out, and this one, with the keyboard alone and no script", async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.route(`${CALLBACK}**`, (route) => route.fulfill({ body: "back" }));
    const { email } = await addUser(latchkey, tenant.account_id);
    await page.goto(standard.address());
    await enter(page, "#identifier", email);
    await page.waitForSelector("#code");
    await enter(page, "#code", (await inbox(tenant, email))[0]?.verification_code ?? "");
    await page.waitForSelector("ul");
    await page.click("button.main");
    await page.waitForURL(`${CALLBACK}**`);
    await openSurfer(latchkey).logIn(standard.address(), tenant, email);
    await page.goto(`${tenant.issuer}/login/consents`);
    for (const _ of ["remove", "there"]) await page.keyboard.press("Tab");
    await page.waitForSelector("#end-0-1:focus");
    await page.keyboard.press("Enter");
    await page.waitForSelector("[role=status]");
    expect(await page.locator("#end-0-1").count()).toBe(0);
    for (const _ of ["remove", "out"]) await page.keyboard.press("Tab");
    await page.waitForSelector("#out:focus");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/oauth/logout");
    await page.goto(`${tenant.issuer}/login/consents`);
    expect(await page.locator("form").count()).toBe(0);
    await page.context().close();
  });

  it("the home page leads on by the keyboard alone and no script", async () => {
    const page = await open({ javaScriptEnabled: false });
    await page.goto(`${latchkey.config.public_url}/`);
    await page.keyboard.press("Tab");
    await page.keyboard.press("Tab");
    await page.keyboard.press("Enter");
    await page.waitForURL("**/readyz");
    await page.context().close();
  });
});

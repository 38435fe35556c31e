/**
 * A single-page application with oidc-client-ts, unchanged, in real Chromium: login with the code of the real mail,
 * silent renew, logout.
 */
import { readFileSync } from "node:fs";
import { createServer, type Server } from "node:http";
import { createRequire } from "node:module";
import type { AddressInfo } from "node:net";
import { dirname, join } from "node:path";
import type { Browser, Page } from "playwright-core";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { executablePath, openChromium } from "../support/chromium.ts";
import {
  addClient,
  addUser,
  createTenant,
  type Latchkey,
  newAccountId,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { codeIn, type Mailbox, openMailbox, until } from "../support/smtp.ts";

/** The bundle for browsers is not among the exports. */
const library = readFileSync(
  join(dirname(createRequire(import.meta.url).resolve("oidc-client-ts")), "..", "browser", "oidc-client-ts.min.js"),
);

/** What the application's page does; `manager` is at hand for the test. */
const application = (
  settings: object,
) => `<!doctype html><title>shop</title><p id="who"></p><script src="/library.js"></script><script>
const manager = new oidc.UserManager(Object.assign(${JSON.stringify(settings)}, {
  redirect_uri: location.origin + "/callback", silent_redirect_uri: location.origin + "/silent",
  post_logout_redirect_uri: location.origin + "/bye",
  userStore: new oidc.WebStorageStateStore({ store: window.localStorage }),
}));
const show = (user) => { document.getElementById("who").textContent = user ? user.profile.email : "nobody"; };
if (location.pathname === "/callback") manager.signinRedirectCallback().then(show, (error) => { document.title = "error: " + error.message; });
else if (location.pathname === "/silent") manager.signinSilentCallback();
else if (location.pathname === "/bye") manager.signoutRedirectCallback().then(() => show(null));
else manager.getUser().then(show);
</script>`;

describe.skipIf(!executablePath)("oidc-client-ts in Chromium", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  /** Shows a secret, as no page should; without one nothing is given silently at a loopback address. */
  let known: TestClient;
  let use: (one: TestClient) => void;
  let mailbox: Mailbox;
  let shop: Server;
  let origin: string;
  let browser: Browser;
  beforeAll(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    let settings = {};
    shop = createServer((request, response) => {
      if (request.url === "/library.js") response.writeHead(200, { "content-type": "text/javascript" }).end(library);
      else response.writeHead(200, { "content-type": "text/html" }).end(application(settings));
    });
    await new Promise<void>((resolve) => shop.listen(0, "127.0.0.1", resolve));
    origin = `http://localhost:${(shop.address() as AddressInfo).port}`;
    latchkey = await startLatchkey("sqlite", { env: { SMTP_URL: mailbox.url, MAIL_FROM: "login@shop.example" } });
    tenant = await createTenant(latchkey, { account_id: newAccountId("P") });
    const clientBy = (token_endpoint_auth_method: "none" | "client_secret_post") =>
      addClient(latchkey, tenant.account_id, {
        first_party: true,
        token_endpoint_auth_method,
        grant_types: ["authorization_code", "refresh_token"],
        callbacks: [`${origin}/callback`, `${origin}/silent`],
        post_logout_redirect_uris: [`${origin}/bye`],
      });
    client = await clientBy("none");
    known = await clientBy("client_secret_post");
    use = ({ client_id, client_secret }) => {
      const secret = client_secret === "" ? {} : { client_secret };
      settings = { authority: tenant.issuer, client_id, scope: "openid email", ...secret };
    };
    browser = await openChromium();
  });
  afterAll(async () => {
    await browser.close();
    await latchkey.close();
    await mailbox.stop();
    await new Promise<void>((resolve) => {
      shop.close(() => resolve());
      shop.closeAllConnections();
    });
  });

  async function logIn(page: Page, email: string, scope: string): Promise<void> {
    const before = mailbox.mails.length;
    await page.goto(origin);
    await page.waitForSelector("text=nobody");
    await page.evaluate(`void manager.signinRedirect({ scope: ${JSON.stringify(scope)} })`);
    await page.fill("#identifier", email);
    await page.press("#identifier", "Enter");
    await page.waitForSelector("#code");
    const mail = await until("the mail", () => mailbox.mails[before]);
    await page.fill("#code", codeIn(mail));
    await page.press("#code", "Enter");
    await page.waitForSelector(`text=${email}`);
  }

  const tokens = (page: Page) =>
    page.evaluate<{ id_token: string; access_token: string }>(
      "manager.getUser().then(({ id_token, access_token }) => ({ id_token, access_token }))",
    );

  it("logs in with the code of the mail, renews silently in a frame, and logs out", async () => {
    use(known);
    const page = await (await browser.newContext()).newPage();
    const { email } = await addUser(latchkey, tenant.account_id);
    await logIn(page, email, "openid email");
    const first = await tokens(page);
    await page.evaluate("manager.signinSilent()");
    const second = await tokens(page);
    expect(second.access_token).not.toBe(first.access_token);
    await page.evaluate("void manager.signoutRedirect()");
    await page.waitForURL(`${origin}/bye**`);
    await page.waitForSelector("text=nobody");
    const refused = await page.evaluate<string>(
      "manager.signinSilent({ prompt: 'none' }).then(() => 'renewed', (error) => error.error)",
    );
    expect(refused).toBe("login_required");
    await page.context().close();
  });

  it("is told that its person has to look where it would renew silently without a secret", async () => {
    use(client);
    const page = await (await browser.newContext()).newPage();
    const { email } = await addUser(latchkey, tenant.account_id);
    await logIn(page, email, "openid email");
    const refused = await page.evaluate<string>("manager.signinSilent().then(() => 'renewed', (error) => error.error)");
    expect(refused).toBe("interaction_required");
    await page.context().close();
  });

  it("renews with a refresh token where it asked for one", async () => {
    use(client);
    const page = await (await browser.newContext()).newPage();
    const { email } = await addUser(latchkey, tenant.account_id);
    await logIn(page, email, "openid email offline_access");
    const first = await tokens(page);
    const frames: string[] = [];
    page.on("framenavigated", (frame) => frames.push(frame.url()));
    await page.evaluate("manager.signinSilent()");
    expect((await tokens(page)).access_token).not.toBe(first.access_token);
    expect(frames).toEqual([]);
    await page.context().close();
  });
});

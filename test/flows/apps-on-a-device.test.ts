/**
 * Apps whose address anybody on their device may take: a private-use scheme, a loopback port (RFC 8252 §8.6). Whoever began a
 * request holds its PKCE verifier, so nothing but a person's own press tells a thief's request from an honest one.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addUser, call, type TestClient } from "../support/latchkey.ts";
import { answered, openScene, pkce, type Scene, VERIFIER } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";

const SCHEME = "com.bank.app:/cb";
/** Registered without its port. */
const PORT = "http://127.0.0.1:4567/cb";
const open = { first_party: true, token_endpoint_auth_method: "none" } as const;

describeOnBothEngines("an app on a device", (engine) => {
  let scene: Scene;
  let app: TestClient;
  beforeAll(async () => {
    scene = await openScene(engine);
    app = await appWith({});
  });
  afterAll(() => scene.close());

  const appWith = (settings: Partial<ClientSettings>) =>
    addClient(scene.latchkey, scene.tenant.account_id, {
      ...open,
      callbacks: [SCHEME, "http://127.0.0.1/cb"],
      grant_types: ["authorization_code", "refresh_token"],
      ...settings,
    });
  const address = (redirect_uri: string, more: Record<string, string> = {}, client = app) =>
    scene.address(client, { redirect_uri, ...pkce, ...more });
  const loggedIn = async (...people: readonly string[]): Promise<Surfer> => {
    const surfer = openSurfer(scene.latchkey);
    for (const one of people) await surfer.logIn(scene.address(scene.own, { prompt: "login" }), scene.tenant, one);
    return surfer;
  };
  const codeIn = (shown: Shown) =>
    answered(shown).get("code") ?? /name="code" value="([^"]+)"/.exec(shown.html)?.[1] ?? null;
  const redeem = (code: string | null, redirect_uri: string) =>
    scene.token(
      {
        ...{ grant_type: "authorization_code", code: code ?? "", code_verifier: VERIFIER },
        ...{ redirect_uri, client_id: app.client_id },
      },
      null,
    );

  it.each([
    [SCHEME, "com.bank.app:"],
    [PORT, "127.0.0.1"],
  ])("is given nothing out of a session, the account's own either, without a press (%s)", async (callback, place) => {
    const email = await scene.someone();
    const surfer = await loggedIn(email);
    for (const more of [{}, { response_mode: "form_post" }, { prompt: "consent" }, { max_age: "1000" }]) {
      const page = await surfer.visit(address(callback, more));
      expect(codeIn(page), JSON.stringify(more)).toBeNull();
      expect(page.html).toContain(`You will be sent to an app on your device (${place}).`);
      expect(page.html).toContain(email);
      for (const action of ["code", "factor", "allow", "nonsense", "resend"])
        expect(codeIn(await surfer.visit(page.url, { action, code: "x", session: "x" })), action).toBeNull();
    }
    const silent = answered(await surfer.visit(address(callback, { prompt: "none" })));
    expect([silent.get("error"), silent.get("code")]).toEqual(["interaction_required", null]);
    const page = await surfer.visit(address(callback));
    const { body, status } = await redeem(codeIn(await surfer.act(page, "choose")), callback);
    expect([status, typeof body.access_token]).toEqual([200, "string"]);
    expect(codeIn(await surfer.visit(address(callback))), "another time").toBeNull();
    const left = answered(await surfer.act(await surfer.visit(address(callback)), "cancel"));
    expect([left.get("error"), left.get("code")]).toEqual(["access_denied", null]);
  });

  it("is not either where its client logs account users in, or pushes what it asks for", async () => {
    const { account_id } = scene.tenant;
    const account_user = { first_party: true, user_type: "account_user" } as const;
    const web = await addClient(scene.latchkey, account_id, account_user);
    const tool = await appWith(account_user);
    const { email } = await addUser(scene.latchkey, account_id, { type: "account_user" });
    const surfer = openSurfer(scene.latchkey);
    expect(codeIn(await surfer.logIn(scene.address(web), scene.tenant, email))).toBeTruthy();
    const form = Object.fromEntries(new URL(address(PORT, {}, tool)).searchParams);
    const { body } = await call(`${scene.tenant.base}/oauth/par`, { method: "POST", form });
    const pushed = new URLSearchParams({ client_id: tool.client_id, request_uri: body.request_uri });
    for (const asking of [address(PORT, {}, tool), `${scene.tenant.issuer}/oauth/authorize?${pushed}`]) {
      const page = await surfer.visit(asking);
      expect(codeIn(page)).toBeNull();
      expect(codeIn(await surfer.act(page, "choose"))).toBeTruthy();
    }
  });

  it("is given a code at once by a login for its very request, and by none for another", async () => {
    const email = await scene.someone();
    const surfer = openSurfer(scene.latchkey);
    const waiting = await surfer.visit(address(SCHEME));
    expect(codeIn(await surfer.logIn(address(SCHEME), scene.tenant, email)), "its own").toBeTruthy();
    expect(codeIn(await surfer.visit(waiting.url)), "another request's").toBeNull();
    const fresh = await surfer.logIn(address(SCHEME, { prompt: "login" }), scene.tenant, email);
    expect(codeIn(fresh), "prompt=login").toBeTruthy();
    expect(codeIn(await surfer.logIn(address(SCHEME, { max_age: "0" }), scene.tenant, email)), "max_age").toBeTruthy();
  });

  it("asks for one press where there are several people, too, who read where it leads", async () => {
    const people = [await scene.someone(), await scene.someone()];
    const surfer = await loggedIn(...people);
    for (const more of [{}, { prompt: "select_account" }]) {
      const page = await surfer.visit(address(SCHEME, more));
      for (const one of [...people, "an app on your device (com.bank.app:)"]) expect(page.html).toContain(one);
      expect(codeIn(await surfer.act(page, "choose"))).toBeTruthy();
    }
    const silent = answered(await surfer.visit(address(SCHEME, { prompt: "none" })));
    expect(silent.get("error")).toBe("account_selection_required");
  });

  it("goes on by its refresh token, which no browser is asked for", async () => {
    const surfer = await loggedIn(await scene.someone());
    const page = await surfer.visit(address(PORT, { scope: "openid offline_access" }));
    const { body } = await redeem(codeIn(await surfer.act(page, "choose")), PORT);
    const form = { grant_type: "refresh_token", refresh_token: body.refresh_token, client_id: app.client_id };
    expect((await scene.token(form, null)).status).toBe(200);
  });

  it("is answered silently where its address is https, or it shows a secret of its own", async () => {
    const surfer = await loggedIn(await scene.someone());
    const web = await appWith({ callbacks: ["https://app.example/cb"] });
    const keeps_secret = await appWith({ token_endpoint_auth_method: "client_secret_basic" });
    expect(codeIn(await surfer.visit(address("https://app.example/cb", {}, web)))).toBeTruthy();
    for (const callback of [SCHEME, PORT])
      expect(codeIn(await surfer.visit(address(callback, { prompt: "none" }, keeps_secret)))).toBeTruthy();
  });
});

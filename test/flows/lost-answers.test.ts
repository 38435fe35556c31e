/** An answer to a login is lost: its browser can still end all that it had, and its cookie of before lets nobody in. */
import { afterAll, beforeAll, beforeEach, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Surfer } from "../support/surfer.ts";

describeOnBothEngines("a browser that the answer to a login does not reach", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  let standard: StandardClient;
  let surfer: Surfer;
  let who: string;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const grant_types = ["authorization_code", "refresh_token"] as const;
    client = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    standard = standardClient(latchkey, tenant, client);
  });
  beforeEach(async () => {
    surfer = openSurfer(latchkey);
    who = await somebody();
  });
  afterAll(() => latchkey.close());

  const somebody = async () => (await addUser(latchkey, tenant.account_id)).email;
  const asking = (prompt: string) => standard.address(client, { prompt, scope: "openid offline_access" });

  /** @returns whether what this login led to lives. */
  async function logIn(by: Surfer, as: string) {
    const back = await by.logIn(asking("login"), tenant, as);
    let { refresh_token } = (await standard.redeem(answered(back).get("code") ?? "")).body;
    expect(refresh_token).toBeTruthy();
    return async () => {
      const { status, body } = await standard.token({ grant_type: "refresh_token", refresh_token });
      refresh_token = body.refresh_token;
      return status === 200;
    };
  }

  /** The right code is taken, and the browser hears nothing of it. */
  async function logInUnheard(as: string): Promise<void> {
    const waiting = await surfer.act(await surfer.visit(asking("login")), "identify", { identifier: as });
    const [message] = await inbox(tenant, as);
    const answer = await fetch(waiting.url.replace(latchkey.config.public_url, latchkey.url), {
      method: "POST",
      redirect: "manual",
      headers: { cookie: [...surfer.jar].map((pair) => pair.join("=")).join("; ") },
      body: new URLSearchParams({ action: "code", code: message?.verification_code ?? "" }),
    });
    const [name = "", value = ""] = (answer.headers.getSetCookie()[0] ?? "").split(/[=;]/);
    expect([answer.status, surfer.jar.has(name), surfer.jar.get(name) === value]).toEqual([303, true, false]);
  }

  /** A browser with the same cookie. */
  function copyOf({ jar }: Surfer): Surfer {
    const copy = openSurfer(latchkey);
    for (const [name, value] of jar) copy.jar.set(name, value);
    return copy;
  }

  const logOut = (by: Surfer) => by.visit(`${tenant.issuer}/oauth/logout`, { confirm: "yes" });
  const silently = async (by: Surfer) => {
    const given = answered(await by.visit(asking("none")));
    return given.has("code") ? "logged in" : given.get("error");
  };

  it.each([
    ["the same person", 1, true],
    ["somebody else", 1, false],
    ["the same person, the third time", 2, true],
  ])("logs out of all that it had once %s has logged in there", async (_who, lost, same) => {
    const before = await logIn(surfer, who);
    for (let time = 0; time < lost; time++) await logInUnheard(who);
    expect(await silently(surfer)).toBe("login_required");
    const after = await logIn(surfer, same ? who : await somebody());
    expect([await before(), await after()]).toEqual([true, true]);
    await logOut(surfer);
    expect([await before(), await after()]).toEqual([false, false]);
  });

  it("logs out of all that it had without another login", async () => {
    const before = await logIn(surfer, who);
    await logInUnheard(who);
    await logOut(surfer);
    expect(await before()).toBe(false);
  });

  it("lets in nobody who shows its cookie of before, nor as whom they log in there", async () => {
    await logIn(surfer, who);
    await logInUnheard(who);
    expect(await silently(surfer)).toBe("login_required");
    const own = await somebody();
    await logIn(surfer, own);
    const page = await surfer.visit(asking("select_account"));
    expect(page.html).toContain(own);
    expect(page.html).not.toContain(who);
  });

  it("knows nothing of its cookie of before once it has shown the one that it got", async () => {
    const [first, second] = [await logIn(surfer, who), await logIn(surfer, await somebody())];
    const thief = copyOf(surfer);
    const third = await logIn(surfer, who);
    await logOut(copyOf(thief));
    await logIn(thief, await somebody());
    await logOut(thief);
    expect([await first(), await second(), await third()]).toEqual([true, true, true]);
    expect((await surfer.visit(asking("select_account"))).html).toContain(who);
    await logOut(surfer);
    expect([await first(), await second(), await third()]).toEqual([false, false, false]);
  });

  it("knows nothing of it then either where all that it had lay idle when somebody logged in there", async () => {
    const first = await logIn(surfer, who);
    const { storage } = latchkey.server.core;
    await storage.write(({ db }) =>
      db
        .updateTable("sessions")
        .set({ idle_expires_at: "2020-01-01T00:00:00.000Z" })
        .where("account_id", "=", tenant.account_id)
        .execute(),
    );
    const thief = copyOf(surfer);
    const second = await logIn(surfer, await somebody());
    expect(await silently(surfer)).toBe("logged in");
    await logIn(thief, await somebody());
    await logOut(thief);
    expect([await first(), await second()]).toEqual([true, true]);
    await logOut(surfer);
    expect([await first(), await second()]).toEqual([false, false]);
  });
});

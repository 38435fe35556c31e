/** The answer to a refresh that was lost is given once more, to nobody else and as long as the login goes on. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { instant } from "../../src/storage/storage.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  createTenant,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { standardClient } from "../support/standard-client.ts";

const refused = [400, "invalid_grant"];

describeOnBothEngines("an answer to a refresh that was lost", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const refresh = (refresh_token: string, bearer = tenant.token) =>
    token(tenant, { grant_type: "refresh_token", refresh_token }, bearer);
  /** A login that was refreshed: its `shown` token is the one before its newest. */
  async function loseAnswer() {
    const { id: user_id } = await addUser(latchkey, tenant.account_id);
    const { audience } = tenant;
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: user_id, audience };
    const login = await token(tenant, { ...about, verification_code: await mintCode(tenant, { user_id }) });
    const shown: string = login.body.refresh_token;
    const lost = await refresh(shown);
    expect(lost.status, lost.text).toBe(200);
    return { user_id, shown, newest: lost.body.refresh_token as string, sid: claimsOf(login.body.access_token).sid };
  }
  /** As another process, or time, leaves it. */
  const change = (sid: string, values: object) =>
    latchkey.server.core.storage.write(async ({ db }) => {
      await db.updateTable("refresh_families").set(values).where("id", "=", sid).execute();
    });
  const changePerson = (id: string, values: object) =>
    latchkey.server.core.storage.write(async ({ db }) => {
      await db.updateTable("users").set(values).where("id", "=", id).execute();
    });
  const passed = () => instant(latchkey.server.core.storage.now() - 1_000);
  const toCome = () => instant(latchkey.server.core.storage.now() + 60_000);

  it("is given as long as nothing has ended it", async () => {
    const { shown, newest, sid } = await loseAnswer();
    await change(sid, { rotated_at: toCome() });
    expect((await refresh(shown)).body.refresh_token).toBe(newest);
  });

  type Lost = Awaited<ReturnType<typeof loseAnswer>>;
  it.each([
    ["lies idle", ({ sid }: Lost) => change(sid, { idle_expires_at: passed() })],
    ["is over", ({ sid }: Lost) => change(sid, { expires_at: passed() })],
    ["was revoked", ({ sid }: Lost) => change(sid, { revoked_at: passed() })],
    [
      "has ended with others of its person",
      ({ user_id }: Lost) => {
        const logins_ended_at = toCome();
        return changePerson(user_id, { logins_ended_at, logins_ended_but: `${logins_ended_at} ` });
      },
    ],
    ["has lost its person", ({ user_id }: Lost) => changePerson(user_id, { deleted_at: passed() })],
  ])("is given no more where the login %s", async (_how, end) => {
    const lost = await loseAnswer();
    await change(lost.sid, { rotated_at: toCome() });
    await end(lost);
    const again = await refresh(lost.shown);
    expect(code(again)).toEqual(refused);
    expect(code(await refresh(lost.newest))).toEqual(refused);
  });

  it("is given to no other client, whose asking ends the login", async () => {
    const { shown, newest, sid } = await loseAnswer();
    await change(sid, { rotated_at: toCome() });
    const other = await addClient(latchkey, tenant.account_id);
    const scope = ["write:accounts:/auth/users", "create:accounts:auth:refresh_token"];
    await addGrant(latchkey, tenant.account_id, other, tenant.issuer, scope);
    const stranger = await tokenOf(latchkey, tenant.account_id, other);
    expect(code(await refresh(shown, stranger))).toEqual(refused);
    expect(code(await refresh(newest))).toEqual(refused);
  });

  it("is given for no secret that has ended, though it is known here", async () => {
    const grant_types = ["authorization_code", "refresh_token"] as const;
    const client = await addClient(latchkey, tenant.account_id, { first_party: true, grant_types: [...grant_types] });
    const standard = standardClient(latchkey, tenant, client);
    const login = (await standard.redeem(await standard.codeFor(client, { scope: "openid offline_access" }))).body;
    const renew = () => standard.token({ grant_type: "refresh_token", refresh_token: login.refresh_token });
    expect((await renew()).status).toBe(200);
    await change(claimsOf(login.access_token).sid, { rotated_at: toCome() });
    await latchkey.server.core.storage.write(async ({ db }) => {
      const secrets = db.updateTable("client_secrets").set({ not_after: passed() });
      await secrets.where("client_id", "=", client.id).execute();
    });
    const again = await renew();
    expect([400, 401], again.text).toContain(again.status);
  });
});

/** Who reads one channel has shown one factor: a code is never two of them, whatever it was sent over. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { sealSeed } from "../../src/authentication/mfa/seed.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  askForCode,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { addPerson, oneTimePassword, token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

type Channel = "sms" | "email";
const both_ways = [
  ["sms", "email"],
  ["email", "sms"],
] as const;
const SEED = Buffer.alloc(20);
const SEED_AS_SHOWN = "A".repeat(32);

describeOnBothEngines("one channel", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    client = await addClient(latchkey, tenant.account_id, { first_party: true });
  });
  afterAll(() => latchkey.close());

  const person = async (...factors: Channel[]) => {
    const { id, email, phone_number } = await addPerson(latchkey, tenant.account_id, { factors });
    return { id, email, sms: phone_number };
  };
  type Person = Awaited<ReturnType<typeof person>>;
  const newest = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";
  /** Asks at the account API, by the address; @returns the login session. */
  const ask = async (connection: Channel, { email }: Person, login_session_id?: string) => {
    const asked = await askForCode(tenant, { connection, email, ...(login_session_id ? { login_session_id } : {}) });
    expect(asked.status, asked.text).toBe(204);
    return asked.headers.get("login-session-id") ?? "";
  };
  const redeem = (login_session_id: string, verification_code: string) => {
    const about = { grant_type: "authorization_code", audience: tenant.audience };
    return token(tenant, { ...about, login_session_id, verification_code });
  };
  const challenge = (mfa_token: string, oob_channel: Channel) =>
    call(`${tenant.base}/auth/mfa/challenge`, {
      method: "POST",
      token: tenant.token,
      json: { challenge_type: "oob", mfa_token, oob_channel },
    });
  const finish = (mfa_token: string, fields: object) => token(tenant, { grant_type: "mfa_oob", mfa_token, ...fields });

  it.each(both_ways)(
    "that reads %s alone ends no login on a page that named the person by %s first",
    async (mine, other) => {
      const who = await person(mine);
      const surfer = openSurfer(latchkey);
      const about = { client_id: client.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
      const { url } = await surfer.visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
      for (const identifier of [who[other], who[mine]]) await surfer.visit(url, { action: "identify", identifier });
      await surfer.visit(url, { action: "code", code: await newest(who[mine]) });
      await surfer.visit(url, { action: "challenge", channel: mine });
      const done = await surfer.visit(url, { action: "factor", code: await newest(who[mine]) });
      expect(done.url.startsWith(CALLBACK), done.url).toBe(false);
    },
  );

  it.each(both_ways)("that reads %s alone ends no login with a code that went by %s first", async (mine, other) => {
    const who = await person("sms", "email");
    const login_session_id = await ask(other, who);
    await ask(mine, who, login_session_id);
    const verification_code = await newest(who[mine]);
    expect(verification_code, "it is that same code").toBe(await newest(who[other]));
    expect(code(await redeem(login_session_id, verification_code))).toEqual([403, "access_denied"]);
  });

  it("takes no third code that goes by two: who asks again then gets the newer of them", async () => {
    const who = await person();
    const pause = () => letPass(latchkey, "verification_codes", tenant.account_id, 30, ["last_sent_at"]);
    for (const _ of ["first", "second"]) {
      await ask("sms", who, await ask("email", who));
      await pause();
    }
    await ask("email", who);
    const { storage } = latchkey.server.core;
    const codes = storage.read.selectFrom("verification_codes").select("connections").where("user_id", "=", who.id);
    expect(await codes.execute()).toEqual([{ connections: "email sms" }, { connections: "email sms" }]);
  });

  it("is closed by a code that went there too, and an app is not", async () => {
    const who = await person("sms", "email");
    const { directory, storage } = latchkey.server.core;
    const owner = { account_id: tenant.account_id, user_id: who.id };
    const seed = Buffer.from(sealSeed(directory.master_keys, owner, SEED));
    const app = { ...owner, kind: "totp", target: null, seed, last_step: 0 } as const;
    const row = { ...app, enabled_at: "2026-01-01", updated_at: "2026-01-01" };
    await storage.write((tx) => tx.db.insertInto("factors").values(row).execute());
    const login_session_id = await ask("email", who);
    await ask("sms", who, login_session_id);
    const half = await redeem(login_session_id, await newest(who.sms));
    expect(code(half)).toEqual([403, "mfa_required"]);
    const { mfa_token } = half.body;
    for (const channel of ["sms", "email"] as const)
      expect(code(await challenge(mfa_token, channel)), channel).toEqual([404, "not_found"]);
    const done = await finish(mfa_token, { otp: oneTimePassword(SEED_AS_SHOWN) });
    expect(done.status, done.text).toBe(200);
    expect(claimsOf(done.body.access_token).amr).toEqual(["otp", "sms", "mfa"]);
  });

  it.each(both_ways)(
    "stays a second factor beside a code by the other, though a stranger asks for one by %s",
    async (mine, other) => {
      const who = await person(mine);
      const login_session_id = await ask(other, who);
      const elsewhere = await ask(mine, who);
      expect(await newest(who[mine]), "a code of its own").not.toBe(await newest(who[other]));
      const half = await redeem(login_session_id, await newest(who[other]));
      expect(code(half)).toEqual([403, "mfa_required"]);
      const { mfa_token } = half.body;
      const { oob_code } = (await challenge(mfa_token, mine)).body;
      const done = await finish(mfa_token, { oob_code, binding_code: await newest(who[mine]) });
      expect(done.status, done.text).toBe(200);
      expect(claimsOf(done.body.access_token).amr.toSorted()).toEqual(["mfa", "otp", "sms"]);
      expect(code(await redeem(elsewhere, await newest(who[mine])))[0], "all codes are spent").toBe(400);
    },
  );
});

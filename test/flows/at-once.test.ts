/** Changes that come at once: each that was acknowledged is there afterwards, and what follows from several fits all of them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { associateTotp, disableTotp, enableTotp, setSms } from "../../src/authentication/mfa/change-factors.ts";
import { selectFactors, updateStep, upsertFactor } from "../../src/authentication/mfa/store.ts";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { addConsent, deleteConsents, selectConsent } from "../../src/oauth/consents/store.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { instant, type Transaction } from "../../src/storage/storage.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addUser,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import { oneTimePassword } from "../support/people.ts";

const ROUNDS = 5;

describeOnBothEngines("changes at once", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object) =>
    call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });
  /** All of these at once, each acknowledged. */
  const change = async (method: string, path: string, changes: readonly object[]) => {
    const replies = await Promise.all(changes.map((one) => send(method, path, one)));
    expect(replies.map(({ status }) => status)).toEqual(changes.map(() => 200));
    return Object.assign({}, ...changes);
  };

  it("of a client are all kept", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const { id } = await addClient(latchkey, tenant.account_id);
      const path = `/auth/clients/${id}`;
      const all = await change("PATCH", path, [
        { name: "Another" },
        { description: "Of a shop" },
        { code_format: "numeric" },
        { default_audience: "https://api.example" },
        { custom_claims: ["tier"] },
        { resource_for: ["https://stock.example"] },
      ]);
      expect((await send("GET", path)).body, `round ${round}`).toMatchObject(all);
    }
  });

  it("of a client never leave settings that one change alone would be refused", async () => {
    const [shop, other] = ["https://shop.example", "https://other.example"];
    for (let round = 0; round < ROUNDS; round++) {
      const { id } = await addClient(latchkey, tenant.account_id, { callbacks: [`${shop}/callback`] });
      const path = `/auth/clients/${id}`;
      const replies = await Promise.all([
        send("PATCH", path, { login_uri: `${shop}/login` }),
        send("PATCH", path, { callbacks: [`${other}/callback`] }),
      ]);
      expect(replies.map(({ status }) => status).toSorted(), `round ${round}`).toEqual([200, 400]);
      const { callbacks, login_uri } = (await send("GET", path)).body;
      expect(login_uri === null || callbacks[0].startsWith(shop), `round ${round}`).toBe(true);
    }
  });

  it("of an account are all kept", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const all = await change("PATCH", "/auth/settings", [
        { code_lifetime: 100 + round },
        { numeric_guess_limit: 11 + round },
        { session_idle_lifetime: 4_000 + round },
        { refresh_idle_lifetime: 5_000 + round },
        { access_token_lifetime: 300 + round },
      ]);
      expect((await send("GET", "/auth/settings")).body, `round ${round}`).toMatchObject(all);
    }
  });

  it("of an account that is deleted meanwhile are refused, and nothing of them is written", async () => {
    const { directory } = latchkey.server.core;
    const { storage } = directory;
    const { account_id } = await createTenant(latchkey, { settings: { code_lifetime: 300 } });
    const deleting = ({ db }: Transaction) =>
      db
        .updateTable("accounts")
        .set({ deleted_at: instant(storage.now()), deleted_by: actor.id })
        .where("account_id", "=", account_id)
        .execute();
    const changing = () => changeSettings(directory, account_id, { code_lifetime: 100 }, actor);
    const [, late] = await overlap(storage, deleting, changing);
    expect(late.status === "rejected" && [late.reason.code, late.reason.status]).toEqual(["not_found", 404]);
    const stored = storage.read.selectFrom("accounts").select("settings").where("account_id", "=", account_id);
    expect(JSON.parse((await stored.executeTakeFirstOrThrow()).settings)).toEqual({ code_lifetime: 300 });
    const events = storage.read.selectFrom("audit_events").select("action").where("account_id", "=", account_id);
    expect(await events.where("action", "=", "account.changed").execute()).toEqual([]);
  });

  it("of an account user are all kept, and their tokens name what they hold now", async () => {
    for (let round = 0; round < ROUNDS; round++) {
      const made = await send("POST", "/management/users", { email: `staff-${round}@example.com` });
      const path = `/management/users/${made.body.id}`;
      const agreement = { name: "terms", version: String(round) };
      const version = async () => {
        const users = latchkey.server.core.storage.read.selectFrom("users").select("profile");
        const { profile } = await users.where("id", "=", made.body.id).executeTakeFirstOrThrow();
        return JSON.parse(profile).scope_version;
      };
      const before = await version();
      await Promise.all([
        send("PUT", path, { agreement }),
        send("PUT", path, { scope: ["read:accounts"] }),
        send("PUT", path, { agreement }),
      ]);
      const users: { id: string }[] = (await send("GET", "/management/users")).body;
      const now = users.find(({ id }) => id === made.body.id);
      expect(now, `round ${round}`).toMatchObject({ agreement, scope: ["read:accounts"] });
      expect(await version(), "another one than was revoked").not.toBe(before);
    }
  });

  it("of a person's factors leave the login asking for what is switched on", async () => {
    const { core } = latchkey.server;
    for (let round = 0; round < ROUNDS; round++) {
      const { id: user_id, phone_number } = await addUser(latchkey, tenant.account_id);
      const owner = { account_id: tenant.account_id, user_id };
      const now = instant(core.storage.now());
      const totp = { ...owner, kind: "totp" as const, target: null, seed: Buffer.alloc(20), last_step: 0 };
      await core.storage.write((tx) => upsertFactor(tx.db, { ...totp, enabled_at: now, updated_at: now }));
      await Promise.all([
        setSms(core.directory, owner, phone_number, actor),
        disableTotp(core.directory, owner, actor),
      ]);
      const users = core.storage.read.selectFrom("users").select("second_factor").where("id", "=", user_id);
      expect((await users.executeTakeFirst())?.second_factor, `round ${round}`).toBe(1);
    }
  });

  it("of an authenticator app never bring back a password that a login has spent", async () => {
    const { core } = latchkey.server;
    const { storage } = core;
    const { id: user_id } = await addUser(latchkey, tenant.account_id);
    const owner = { account_id: tenant.account_id, user_id };
    const seed = reveal((await associateTotp(core.directory, owner, "ada@example.com", "Shop")).secret);
    await enableTotp(core.directory, owner, secret(oneTimePassword(seed, -1)), actor);
    const spent = Math.floor(storage.now() / 30_000) + 1;
    const login = async ({ db }: Transaction) =>
      expect(await updateStep(db, tenant.account_id, user_id, spent)).toBe(true);
    const again = () => enableTotp(core.directory, owner, secret(oneTimePassword(seed)), actor);
    const [first, refused] = await overlap(storage, login, again);
    expect(first.status).toBe("fulfilled");
    const [factor] = await selectFactors(storage.read, tenant.account_id, user_id);
    expect(factor?.last_step).toBe(spent);
    expect(refused.status).toBe("rejected");
  });

  it("of a name's links and of its channels send binding codes where both say", async () => {
    const { read } = latchkey.server.core.storage;
    const links = (of: string) => [
      { rel: "phone_number", href: `tel:+4740000${of}` },
      { rel: "email", href: `mailto:name-${of}@example.com` },
    ];
    const password = "correct horse battery staple";
    for (let round = 0; round < ROUNDS; round++) {
      const username = `name-${round}`;
      const mfa = (channel: string) => ({ challenge_type: "oob", oob_channels: [channel] });
      const made = await send("POST", "/auth/users", {
        username,
        password,
        links: links(`10${round}`),
        mfa: mfa("sms"),
      });
      expect(made.status, made.text).toBe(200);
      await change("PUT", `/auth/users/${username}`, [
        { password, links: links(`20${round}`) },
        { password, mfa: mfa("email") },
      ]);
      const names = read.selectFrom("usernames").select("user_id").where("username", "=", username);
      const { user_id } = await names.executeTakeFirstOrThrow();
      const factors = await selectFactors(read, tenant.account_id, user_id);
      const sent_to = factors.filter(({ enabled_at }) => enabled_at !== null).map(({ kind, target }) => [kind, target]);
      expect(sent_to, `round ${round}`).toEqual([["email", `name-20${round}@example.com`]]);
    }
  });

  it("of what a person agreed to are all kept, and what they took back stays taken back", async () => {
    const { storage } = latchkey.server.core;
    const own = { account_id: tenant.account_id, client_id: (await addClient(latchkey, tenant.account_id)).id };
    const all = ["openid", "email", "phone", "orders:read", "orders:write"];
    for (let round = 0; round < ROUNDS; round++) {
      const key = { ...own, user_id: `person-${round}`, audience: "" };
      const agree = (scope: string) => {
        const agreed = { ...key, scope: [scope], host: "", granted_at: instant(storage.now()) };
        return storage.write((tx) => addConsent(tx.db, agreed));
      };
      await Promise.all(all.map(agree));
      expect((await selectConsent(storage.read, key))?.scope.toSorted(), `round ${round}`).toEqual(all.toSorted());
      const takeBack = storage.write((tx) => deleteConsents(tx.db, key.account_id, key.user_id, key.client_id));
      await Promise.all([takeBack, agree("address")]);
      // Whoever came first: the old ones are gone.
      expect((await selectConsent(storage.read, key))?.scope ?? ["address"]).toEqual(["address"]);
    }
  });
});

/** What becomes of grants and logins when PUBLIC_URL becomes another one, and what `latchkey doctor` says of it. */
import { execFile } from "node:child_process";
import { promisify } from "node:util";
import { expect, it } from "vitest";
import { listLostGrants } from "../../src/directory/grants/lost-grants.ts";
import { tellLost } from "../../src/directory/grants/tell-lost.ts";
import { openLogger } from "../../src/telemetry/log.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  call,
  createTenant,
  MASTER_KEY,
  newOwnerId,
  startLatchkey,
  tokenOf,
} from "../support/latchkey.ts";
import { CLI, cli } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { standardClient } from "../support/standard-client.ts";

const NOW = "https://login.example.com";
const KEPT = "https://it's.example";

describeOnBothEngines("a server at another address", (engine) => {
  it("has the start and doctor name what it cut off, with a command that lets it go on", async () => {
    const before = await startLatchkey(engine);
    const former = before.config.public_url;
    const account_id = newOwnerId();
    const tenant = await createTenant(before, { account_id, settings: { api_audiences: [KEPT] } });
    const merchant = `${account_id.slice(0, 4)}00001`;
    // As builds from before let it stand, to which the two were two.
    await before.server.core.storage.write(async ({ db }) => {
      const accounts = db.selectFrom("accounts").select("settings").where("account_id", "=", account_id);
      const stored = JSON.parse((await accounts.executeTakeFirstOrThrow()).settings);
      const settings = JSON.stringify({ ...stored, api_audiences: [`${KEPT}/`, KEPT] });
      await db.updateTable("accounts").set({ settings }).where("account_id", "=", account_id).execute();
    });
    const own = await addClient(before, account_id, { grant_types: ["authorization_code", "refresh_token"] });
    await addGrant(before, account_id, tenant.client, `${former}/v1/accounts/${merchant}`, ["read:accounts"]);
    await addGrant(before, account_id, own, `http://x/$(false)/v1/accounts/${account_id}`, ["read:accounts"]);
    const shop = await addClient(before, account_id, {});
    const shops = `https://orders.example/v1/accounts/${account_id}`;
    await addGrant(before, account_id, shop, shops, ["orders:read"]);
    const { codeFor, redeem, token } = standardClient(before, tenant, own);
    const login = (await redeem(await codeFor(own, { scope: "openid email offline_access" }))).body;
    expect(login.refresh_token).toEqual(expect.any(String));
    await before.stop();

    const { database } = before;
    const lines: string[] = [];
    const log = openLogger("warn", { write: (line) => void lines.push(line) });
    const after = await startLatchkey(engine, { database, public_url: NOW, log });
    const base = `${after.url}/v1/accounts/${account_id}`;
    const refresh = () => token({ grant_type: "refresh_token", refresh_token: login.refresh_token }, own, base);
    await expect(tokenOf(after, account_id, tenant.client)).rejects.toThrow("unauthorized_client");
    expect((await refresh()).body.error).toBe("invalid_grant");
    await until("the start to tell", () => lines.length > 0 || undefined);
    expect(lines.map((line) => JSON.parse(line))).toMatchObject([
      {
        level: "warn",
        accounts: [account_id],
        audiences: expect.not.arrayContaining([shops]),
        msg: expect.stringMatching(/if that was this server, latchkey doctor says/),
      },
    ]);

    const env = { DATABASE_URL: database.database_url, MASTER_KEY, PUBLIC_URL: NOW };
    const said = async () => {
      const { stdout, stderr } = await cli(env, "doctor", "--json");
      expect(stderr).toBe("");
      const { findings } = JSON.parse(stdout) as { findings: { check: string; message: string }[] };
      return findings.filter(({ check }) => check === "former address").map(({ message }) => message);
    };
    const [lost = "", under = "", ...more] = await said();
    expect(more).toEqual([]);
    expect(lost).toContain(`1 grant(s) and 1 login(s) of ${account_id} are for ${former}/v1/accounts/${account_id}.`);
    expect(lost).toContain("no other is there by now (tokens for it would be good here)");
    expect(under).toContain(`latchkey grant create ${account_id} ${tenant.client.id} --audience ${NOW}/v1/accounts/`);
    const remedy = `latchkey() { "${process.execPath}" "${CLI}" "$@"; }\n${lost.split("run: ")[1]}`;
    await promisify(execFile)("bash", ["-c", remedy], { env: { PATH: process.env.PATH, ...env } });
    expect(await said()).toEqual([under]);

    const refreshed = await until("the login to go on", async () => {
      const reply = await refresh();
      return reply.status === 200 ? reply.body : undefined;
    });
    const { aud, iss } = claimsOf(refreshed.access_token);
    expect({ aud, iss }).toEqual({
      iss: `${NOW}/v1/accounts/${account_id}`,
      aud: `${NOW}/v1/accounts/${account_id}/oauth/userinfo`,
    });
    const told = await call(`${base}/oauth/userinfo`, { token: refreshed.access_token });
    expect(told.body).toMatchObject({ sub: claimsOf(login.id_token).sub, email: expect.any(String) });
    const at_account_api = await tokenOf(after, account_id, tenant.client);
    expect((await call(`${base}/auth/settings`, { token: at_account_api })).body.api_audiences).toEqual([
      KEPT,
      `${former}/v1/accounts/${account_id}`,
    ]);
    await after.close();
  });

  it("has nobody wait for the look at very many grants, which asks a few statements for each page", async () => {
    const before = await startLatchkey(engine);
    const { public_url } = before.config;
    const account_id = newOwnerId();
    const tenant = await createTenant(before, { account_id });
    const last = await createTenant(before, { account_id: newOwnerId() });
    const alone = await addClient(before, last.account_id, {});
    await addGrant(before, last.account_id, alone, `http://x.example/v1/accounts/${last.account_id}`, [
      "read:accounts",
    ]);
    const now = new Date().toISOString();
    const of_another = Array.from({ length: 300 }, (_, n) => ({
      account_id,
      id: `many-${n}`,
      client_id: tenant.client.id,
      audience: `http://x${n}.example/v1/accounts/${account_id}`,
      scope: '["read:accounts"]',
      type: "any",
      created_at: now,
      updated_at: now,
    }));
    await before.server.core.storage.write(({ db }) => db.insertInto("grants").values(of_another).execute());
    await before.stop();

    const { database } = before;
    const lines: { level: string; msg: string; accounts?: string[] }[] = [];
    const asked: string[] = [];
    const after = await startLatchkey(engine, {
      database,
      public_url,
      log: openLogger("info", { write: (line) => void lines.push(JSON.parse(line)) }),
      onQuery: (text) => void asked.push(text),
    });
    const told = await until("the log to name the one that is lost", () =>
      lines.find(({ msg }) => msg.includes("latchkey doctor says what to do")),
    );
    expect(told.accounts).toEqual([last.account_id]);
    expect(lines.slice(0, lines.indexOf(told)).map(({ msg }) => msg)).toContain("listening");
    expect(asked.filter((text) => /^select.* from "(grants|accounts)"/.test(text)).length).toBeLessThan(20);

    const { directory } = after.server.core;
    const look = async (looks?: number) =>
      (await listLostGrants(directory, { most: 1, ...(looks ? { looks } : {}) })).map(({ client_id }) => client_id);
    expect(await look(200)).toEqual([]);
    expect(await look()).toEqual([alone.id]);
    const [said, log] = [lines.length, openLogger("warn", { write: (line) => void lines.push(JSON.parse(line)) })];
    await tellLost(directory, log).stop();
    expect(lines.slice(said)).toEqual([]);
    await after.close();
  });
});

/** Short secrets of clients that came by an import: who has the right one is let in, whoever guesses beside them. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { budgets } from "../../src/limits/budgets.ts";
import { takeBudget } from "../../src/limits/limits.ts";
import { siteSubject, sourceSubject } from "../../src/limits/source.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  basic,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { startProcess } from "../support/process.ts";
import { countSubjects } from "../support/used-up.ts";

const SECRET = "Summer-2019!";
/** As RFC 6749 §2.3.1 has it, and libraries write it. */
const ENCODED = "Summer%2D2019%21";
/** More guesses than anybody has in an hour. */
const MANY = 101;
const HOME = "198.51.100.7";
const STRANGER = "203.0.113.5";
const NEW_HOME = "198.51.100.8";

describeOnBothEngines("a client's short secret", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  const selects: string[] = [];
  const env = { TRUSTED_PROXIES: "127.0.0.1" };
  const onQuery = (sql: string) => {
    if (/^select\b.* from "client_secrets"/.test(sql)) selects.push(sql);
  };
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env, onQuery });
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const ask = async (client_id: string, client_secret: string, from = HOME, url = latchkey.url) => {
    const headers = { authorization: basic({ client_id, client_secret }), "x-forwarded-for": from };
    const at = `${url}/v1/accounts/${tenant.account_id}/oauth/introspect`;
    return (await call(at, { method: "POST", headers, form: { token: "x" } })).status;
  };
  /** In the place of this process, as after a deployment. */
  const atAnother = async (use: (url: string) => Promise<void>) => {
    const { database, config } = latchkey;
    await latchkey.stop();
    const { database_url } = database;
    const server = await startProcess({ database_url, env: { ...env, PUBLIC_URL: config.public_url } });
    try {
      await use(server.url);
    } finally {
      await server.kill("SIGTERM");
      latchkey = await startLatchkey(engine, { env, onQuery, database, public_url: config.public_url });
    }
  };
  const guesses = async (id: string) => {
    const rows = latchkey.server.core.storage.read.selectFrom("budgets").where("subject", "like", `%${id}%`);
    return (await rows.select("count").execute()).reduce((sum, { count }) => sum + Number(count), 0);
  };

  /** As many wrong guesses from one place as are compared, and one more; the last few are made. */
  const useUp = async (id: string, client_id: string, from: string) => {
    const { storage, directory } = latchkey.server.core;
    const { account_id } = tenant;
    const subject = `${id} ${sourceSubject(directory.master_keys, account_id, from)}`;
    const cost = budgets.secret_guess.limit - 5;
    await takeBudget(storage, { account_id, budget: "secret_guess", subject, cost }, storage.now());
    for (let n = 0; n < 6; n++) expect(await ask(client_id, `guess ${n}`, from), `guess ${n}`).toBe(401);
  };

  it("is no guess in either spelling, and right at a process that starts", async () => {
    const { id, client_id } = await addClient(latchkey, tenant.account_id, {}, `encoded-${engine}`, SECRET);
    for (let n = 0; n < MANY; n++) expect(await ask(client_id, ENCODED), `request ${n}`).toBe(200);
    expect(await ask(client_id, SECRET)).toBe(200);
    expect(await guesses(id)).toBe(0);
    await atAnother(async (url) => {
      expect(await ask(client_id, ENCODED, HOME, url)).toBe(200);
      expect(await ask(client_id, SECRET, HOME, url)).toBe(200);
    });
  });

  it("is let in by a process that starts while strangers guess, who learn nothing there", async () => {
    const { id, client_id } = await addClient(latchkey, tenant.account_id, {}, `guessed-${engine}`, SECRET);
    expect(await ask(client_id, SECRET)).toBe(200);
    await useUp(id, client_id, STRANGER);
    expect(await ask(client_id, SECRET)).toBe(200);
    await atAnother(async (url) => {
      expect(await ask(client_id, SECRET, STRANGER, url), "a guess too many").toBe(401);
      expect(await ask(client_id, SECRET, HOME, url)).toBe(200);
    });
  });

  it("is a guess where it has not been right before, also at a process that knows it", async () => {
    const { id, client_id } = await addClient(latchkey, tenant.account_id, {}, `known-${engine}`, SECRET);
    expect(await ask(client_id, SECRET)).toBe(200);
    await useUp(id, client_id, STRANGER);
    const used = await guesses(id);
    expect(await ask(client_id, SECRET, STRANGER), "a guess too many").toBe(401);
    for (let n = 0; n < 2; n++) expect(await ask(client_id, SECRET, NEW_HOME), "elsewhere").toBe(200);
    expect(await guesses(id), "the right one is none").toBe(used + 1);
    for (const shared of [HOME, NEW_HOME]) {
      await useUp(id, client_id, shared);
      expect(await ask(client_id, SECRET, shared), "beside a stranger at the same place").toBe(200);
    }
  });

  it("is guessed at by no more networks than their IPv6 site may, which leave nothing then", async () => {
    const { id, client_id } = await addClient(latchkey, tenant.account_id, {}, `site-${engine}`, SECRET);
    const { storage, directory } = latchkey.server.core;
    const { account_id } = tenant;
    const network = (n: number) => `2001:db8:5:${n}::1`;
    const subject = `${id} ${siteSubject(directory.master_keys, account_id, network(1))}`;
    const cost = budgets.secret_guess_site.limit - 1;
    await takeBudget(storage, { account_id, budget: "secret_guess_site", subject, cost }, storage.now());
    const before = await countSubjects(storage, tenant, "secret_guess");
    for (const n of [1, 2, 3]) expect(await ask(client_id, `guess ${n}`, network(n)), `guess ${n}`).toBe(401);
    expect(await ask(client_id, SECRET, network(4)), "a guess too many").toBe(401);
    expect(await countSubjects(storage, tenant, "secret_guess")).toBe(before + 1);
  });

  it("and no other is read anew because of strangers who show wrong ones", async () => {
    const chosen = "a-long_secret-of-their-own-0123456789";
    for (const [client_id, right] of [
      [`short-${engine}`, SECRET],
      [`long-${engine}`, chosen],
    ] as const) {
      const { id } = await addClient(latchkey, tenant.account_id, {}, client_id, right);
      const spelled = right.replaceAll(/[-_]/g, (mark) => (mark === "-" ? "%2D" : "%5F"));
      const noted = latchkey.server.core.storage.read.selectFrom("client_secrets").where("client_id", "=", id);
      expect(await ask(client_id, right)).toBe(200);
      await expect.poll(async () => (await noted.select("last_used_at").execute())[0]?.last_used_at).toBeTruthy();
      // It is read anew once that is acknowledged, which may be later than it can be seen.
      await latchkey.server.core.storage.write(async () => {});
      expect(await ask(client_id, right)).toBe(200);
      selects.length = 0;
      const began = performance.now();
      const mostReads = (milliseconds: number) => Math.ceil((performance.now() - began) / milliseconds);
      for (let n = 0; n < 5; n++) expect(await ask(client_id, spelled), client_id).toBe(200);
      expect(selects.length, "as a library spells it").toBeLessThanOrEqual(mostReads(5_000));
      for (let n = 0; n < 10; n++) expect(await ask(client_id, `wrong ${n}`, STRANGER)).toBe(401);
      expect(selects.length, "by wrong ones").toBeLessThanOrEqual(1 + mostReads(1_000));
    }
  });
});

/** What an attacker gets out of guessing, and what the person whose name they use loses by it: nothing. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { redeemCode } from "../../src/authentication/verification/redeem.ts";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { listGrants } from "../../src/directory/grants/find-grant.ts";
import { chargeAll } from "../../src/limits/limits.ts";
import { siteSubject } from "../../src/limits/source.ts";
import { secret } from "../../src/secrets/secret.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  addUser,
  askForCode,
  authorize,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, QUICK_HASH } from "../support/people.ts";
import { wrongGuesses } from "../support/verification.ts";

const statuses = (replies: readonly Reply[]) => {
  const counts: Record<string, number> = {};
  for (const { status, body } of replies) {
    const key = `${status}${body?.error ? ` ${body.error.code}` : ""}`;
    counts[key] = (counts[key] ?? 0) + 1;
  }
  return counts;
};

describeOnBothEngines("guessing", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const numericTenant = () => createTenant(latchkey, { client: { code_format: "numeric" } });
  const byEmail = (tenant: Tenant) => ({ ident_type: "email", ident: tenant.user.email });

  it("of 50 parallel redemptions of one code exactly one is a 302", async () => {
    const tenant = await createTenant(latchkey);
    for (const format of ["typable", "link"]) {
      const verification_code = await mintCode(tenant, { format });
      const replies = await Promise.all(Array.from({ length: 50 }, () => authorize(tenant, { verification_code })));
      expect(statuses(replies)).toEqual({ "302": 1, "400 verification_code_used": 49 });
    }
    const numeric = await mintCode(tenant, { format: "numeric" });
    const replies = await Promise.all(
      Array.from({ length: 50 }, () => authorize(tenant, { verification_code: numeric, ...byEmail(tenant) })),
    );
    expect(statuses(replies)).toEqual({ "302": 1, "400 verification_code_used": 49 });
  });

  it("of 200 parallel wrong guesses 5 answer 400 and 195 answer 429, and then the right code answers 429 too", async () => {
    const tenant = await numericTenant();
    const right = await receiveCode(tenant);
    expect(right).toMatch(/^\d{6}$/);
    const guess = (verification_code: string) => authorize(tenant, { verification_code, ...byEmail(tenant) });
    const replies = await Promise.all(wrongGuesses(right, 200).map(guess));
    expect(statuses(replies)).toEqual({ "400 invalid_verification_code": 5, "429 too_many_attempts": 195 });
    const refused = await guess(right);
    expect([refused.status, refused.body.error.code]).toEqual([429, "too_many_attempts"]);
    expect(Number(refused.headers.get("retry-after"))).toBeGreaterThan(0);
    expect(refused.body).toEqual(replies.find(({ status }) => status === 429)?.body);
  });

  it("a code that wrong guesses killed is worth no more than a wrong one, while a newer one lives", async () => {
    const tenant = await numericTenant();
    const redeem = (verification_code: string) => authorize(tenant, { verification_code, ...byEmail(tenant) });
    const [dead, , alive] = [
      await mintCode(tenant, { format: "numeric" }),
      await Promise.all(wrongGuesses("", 3).map(redeem)),
      await mintCode(tenant, { format: "numeric" }),
    ];
    await Promise.all(
      wrongGuesses(dead, 4)
        .filter((guess) => guess !== alive)
        .slice(0, 2)
        .map(redeem),
    );
    expect(statuses([await redeem(dead)])).toEqual({ "400 invalid_verification_code": 1 });
    expect(statuses([await redeem(alive)])).toEqual({ "302": 1 });
    expect(statuses([await redeem(dead)])).toEqual({ "400 verification_code_used": 1 });
  });

  it("with new codes, other connections, clients, identifiers and addresses, at most 10 are not 429 in the window", async () => {
    const tenant = await numericTenant();
    const second = await addClient(latchkey, tenant.account_id, { code_format: "numeric" });
    await addGrant(latchkey, tenant.account_id, second, tenant.audience, []);
    const idents = [
      byEmail(tenant),
      { ident_type: "phone_number", ident: tenant.user.phone_number },
      { ident_type: "user_id", ident: tenant.user.id },
    ];
    let compared = 0;
    let n = 0;
    for (let round = 0; round < 6; round++) {
      const client = round % 2 === 0 ? tenant.client : second;
      const asking = round % 3 === 2 ? { connection: "sms" } : {};
      await askForCode(tenant, { client, ...asking });
      const code = await call(`${tenant.base}/auth/passwordless/code`, {
        method: "POST",
        token: tenant.token,
        json: { audience: tenant.audience, client_id: client.client_id, user_id: tenant.user.id, format: "numeric" },
      });
      const wrong = wrongGuesses(code.body?.verification_code ?? "", 12 + n).slice(n);
      n += 12;
      const replies = await Promise.all(
        wrong.map((verification_code, index) =>
          authorize(
            tenant,
            { verification_code, client_id: client.client_id, ...idents[index % 3] },
            { headers: { "end-user-ip": `192.0.2.${index}`, "x-forwarded-for": `192.0.2.${index}` } },
          ),
        ),
      );
      compared += replies.filter(({ status }) => status !== 429).length;
    }
    expect(compared).toBeLessThanOrEqual(10);
    expect(compared).toBeGreaterThanOrEqual(5);
  });

  it("a stranger's wrong guesses lock nobody out: the person is told, with a code that works at once", async () => {
    const tenant = await numericTenant();
    for (const batch of [0, 1]) {
      const right = await receiveCode(tenant, batch === 0 ? {} : { connection: "sms", to: tenant.user.phone_number });
      const wrong = wrongGuesses(right, 20).slice(batch * 5, batch * 5 + 5);
      for (const verification_code of wrong) await authorize(tenant, { verification_code, ...byEmail(tenant) });
      if (batch === 0) await waitOut(latchkey, tenant);
    }
    const [notice] = await inbox(tenant, tenant.user.email);
    expect(notice?.subject).toMatch(/trying to guess your login codes/);
    expect(notice?.verification_code).toMatch(/^\w{5}-\w{5}$/);
    const closed = await authorize(tenant, { verification_code: "000000", ...byEmail(tenant) });
    expect(closed.status).toBe(429);
    expect((await authorize(tenant, { verification_code: notice?.verification_code })).status).toBe(302);
  });

  it("that close numeric codes are told of by the next one, where a fault came between", async () => {
    const tenant = await numericTenant();
    const { directory, storage } = latchkey.server.core;
    const account = await findAccount(directory, tenant.account_id);
    const client = await findClient(directory, tenant.account_id, tenant.client.client_id);
    const grants = await listGrants(directory, tenant.account_id, { client_id: client.id });
    const guess = (verification_code: string) => authorize(tenant, { verification_code, ...byEmail(tenant) });
    const subjects = async () => (await inbox(tenant, tenant.user.email)).map(({ subject }) => subject);
    for (const code of wrongGuesses("", 9)) expect((await guess(code)).status).toBe(400);
    // The tenth is on disk, and nothing can be written after it.
    const write = () => Promise.reject(new Error("away"));
    const failing = {
      directory: { ...directory, storage: { ...storage, read: storage.read, write } },
      nudge: () => {},
    };
    const tenth = redeemCode(failing, {
      ...{ account, client, grant_id: grants[0]?.id ?? "", audience: tenant.audience },
      ...{ verification_code: secret("999999"), ident_type: "email", ident: tenant.user.email },
      ...{ actor: client.id, facts: { request_id: "test", ip: "192.0.2.1" }, now: storage.now() },
    });
    await expect(tenth).rejects.toThrow("away");
    expect(await subjects()).toEqual([]);
    for (const code of ["000001", "000002"]) expect((await guess(code)).status).toBe(429);
    expect(await subjects(), "once").toEqual([expect.stringContaining("trying to guess your login codes")]);
    const events = await storage.read
      .selectFrom("audit_events")
      .select("id")
      .where("entity", "=", tenant.user.id)
      .where("action", "=", "verification_code.numeric_closed")
      .execute();
    expect(events).toHaveLength(1);
  });

  it("are told of where the account allows fewer than there were", async () => {
    const tenant = await numericTenant();
    const guess = () => authorize(tenant, { verification_code: "000000", ...byEmail(tenant) });
    for (let n = 0; n < 4; n++) expect((await guess()).status).toBe(400);
    await changeSettings(latchkey.server.core.directory, tenant.account_id, { numeric_guess_limit: 3 }, actor);
    for (let n = 0; n < 2; n++) expect((await guess()).status).toBe(429);
    expect(await inbox(tenant, tenant.user.email)).toHaveLength(1);
  });

  it("once numeric codes are closed, asking sends a typable one that works", async () => {
    const tenant = await numericTenant();
    const { storage } = latchkey.server.core;
    const ends = new Date(storage.now() + 3_600_000).toISOString();
    await storage.write((tx) =>
      tx.db
        .insertInto("budgets")
        .values({
          account_id: tenant.account_id,
          budget: "numeric_guess",
          subject: tenant.user.id,
          count: 10,
          window_ends_at: ends,
          level: 1,
          failures: 10,
        })
        .execute(),
    );
    const code = await receiveCode(tenant);
    expect(code).toMatch(/^\w{5}-\w{5}$/);
    expect((await authorize(tenant, { verification_code: code })).status).toBe(302);
  });

  it("a stranger's wrong guesses leave a pending typable code alone", async () => {
    const tenant = await createTenant(latchkey);
    const right = await receiveCode(tenant);
    const wrong = ["AAAAA-AAAAA", "BBBBB-BBBBB", "000000", "123456", "nonsense"];
    for (const verification_code of [...wrong, ...wrongGuesses("", 20)])
      await authorize(tenant, { verification_code, ...byEmail(tenant) });
    expect((await authorize(tenant, { verification_code: right })).status).toBe(302);
  });

  it("many wrong typable codes make new ones longer, and 10 symbols need the person beside them", async () => {
    const tenant = await createTenant(latchkey, { settings: { typable_guess_limit: 3 } });
    const short = await receiveCode(tenant);
    for (let n = 0; n < 4; n++) await authorize(tenant, { verification_code: "ABCDE-ABCDE" });
    const alone = await authorize(tenant, { verification_code: short });
    expect([alone.status, alone.body.error.code]).toEqual([400, "ident_required"]);
    const long = await mintCode(tenant);
    expect(long).toMatch(/^\w{5}-\w{8}$/);
    expect((await authorize(tenant, { verification_code: short, ...byEmail(tenant) })).status).toBe(302);
    const after = await mintCode(tenant);
    expect((await authorize(tenant, { verification_code: after })).status).toBe(302);
  });

  it("reuse revokes what the first use issued, but a double click harms nobody", async () => {
    const tenant = await createTenant(latchkey, { client: {} });
    const { storage } = latchkey.server.core;
    const login = async () => {
      const verification_code = await mintCode(tenant, { audience: tenant.issuer });
      const reply = await authorize(tenant, { verification_code, audience: tenant.issuer, response_type: "token" });
      const token =
        new URLSearchParams(new URL(reply.headers.get("location") ?? "").hash.slice(1)).get("access_token") ?? "";
      return { verification_code, token };
    };
    // A live person's token is refused with 403 at a client's route, a revoked one with 401.
    const alive = async (token: string) => (await call(`${tenant.base}/auth/clients`, { token })).status;
    const clicked = await login();
    await authorize(tenant, { verification_code: clicked.verification_code, audience: tenant.issuer });
    expect(await alive(clicked.token)).toBe(403);
    const earlier = new Date(storage.now() - 11_000).toISOString();
    await storage.write((tx) =>
      tx.db
        .updateTable("verification_codes")
        .set({ spent_at: earlier })
        .where("account_id", "=", tenant.account_id)
        .where("spent_at", "is not", null)
        .execute(),
    );
    await authorize(tenant, { verification_code: clicked.verification_code, audience: tenant.issuer });
    expect(await alive(clicked.token)).toBe(401);
    const stolen = await login();
    const thief = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, thief, tenant.issuer, []);
    expect(await alive(stolen.token)).toBe(403);
    await authorize(tenant, {
      verification_code: stolen.verification_code,
      audience: tenant.issuer,
      client_id: thief.client_id,
    });
    expect(await alive(stolen.token)).toBe(401);
  });

  it("at passwords from one address ends after twenty, whoever they are of, and nobody elsewhere waits", async () => {
    const tenant = await createTenant(latchkey, { client: { called_from: "server" } });
    const { audience, base, token } = tenant;
    const person = await addPerson(latchkey, tenant.account_id);
    const people: string[] = [];
    for (let n = 0; n < 21; n++) people.push((await addUser(latchkey, tenant.account_id)).email);
    const logIn = (username: string, password: string, ip: string) =>
      call(`${base}/auth/token`, {
        ...{ method: "POST", token, headers: { "end-user-ip": ip } },
        json: { grant_type: "password", username, password, audience },
      });
    const guess = async (emails: readonly string[]) =>
      statuses(await Promise.all(emails.map((email) => logIn(email, "wrong password", "203.0.113.5"))));
    const { "400 invalid_grant": wrong = 0, "503 temporarily_unavailable": late = 0, ...rest } = await guess(people);
    expect([wrong + late, rest]).toEqual([20, { "429 too_many_attempts": 1 }]);
    // What a slow machine had no time to compare is no guess yet.
    for (let left = late; left > 0; ) {
      const again = await guess(people.slice(0, left));
      left -= (again["400 invalid_grant"] ?? 0) + (again["429 too_many_attempts"] ?? 0);
    }
    const there = await logIn(person.email, PASSWORD, "203.0.113.5");
    expect([there.status, there.body.error?.code]).toEqual([429, "too_many_attempts"]);
    expect((await logIn(people[0] ?? "", "wrong password", "203.0.113.6")).status).toBe(400);
    expect((await logIn(person.email, PASSWORD, "203.0.113.6")).status).toBe(200);
  });

  it("at passwords from one IPv6 site ends after four hundred, from whichever of its networks, and right ones are none", async () => {
    const { account_id, audience, base, token } = await createTenant(latchkey);
    const { email } = await addPerson(latchkey, account_id, { hash: QUICK_HASH });
    const logIn = async (username: string, password: string, ip: string) => {
      const json = { grant_type: "password", username, password, audience };
      const ask = () => call(`${base}/auth/token`, { method: "POST", token, headers: { "end-user-ip": ip }, json });
      let reply = await ask();
      // What a slow machine had no time to compare is no guess yet.
      while (reply.status === 503) reply = await ask();
      return [reply.status, reply.body.error?.code];
    };
    const { storage, directory } = latchkey.server.core;
    const subject = siteSubject(directory.master_keys, account_id, "2001:db8:7::") ?? "";
    // Of a window that a slow machine does not outlast.
    const later = storage.now() + 3_600_000;
    await storage.write((tx) => chargeAll(tx, [{ account_id, budget: "factor_site", subject, cost: 399 }], later));
    for (const network of [1, 2])
      expect(await logIn(email, PASSWORD, `2001:db8:7:${network}::5`)).toEqual([200, undefined]);
    expect(await logIn("somebody", "wrong password", "2001:db8:7:3::5")).toEqual([400, "invalid_grant"]);
    for (const network of [4, 5])
      expect(await logIn(email, PASSWORD, `2001:db8:7:${network}::5`)).toEqual([429, "too_many_attempts"]);
    for (const elsewhere of ["2001:db8:8::5", "203.0.113.5"])
      expect(await logIn(email, PASSWORD, elsewhere)).toEqual([200, undefined]);
  });

  it("of a short client secret, brought along, a hundred wrong ones an hour are compared, and who is at work goes on", async () => {
    const tenant = await createTenant(latchkey);
    const clientOf = async () => {
      const settings = { grant_types: ["client_credentials" as const] };
      const own = await addClient(latchkey, tenant.account_id, settings, undefined, "tr0ub4dor");
      await addGrant(latchkey, tenant.account_id, own, tenant.audience, ["orders:read"]);
      return own;
    };
    const ask = ({ client_id }: { client_id: string }, client_secret: string) =>
      call(`${tenant.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic({ client_id, client_secret }) },
        form: { grant_type: "client_credentials", resource: tenant.audience },
      });
    const guess = (client: { client_id: string }, count: number, first = 0) =>
      Promise.all(Array.from({ length: count }, (_, n) => ask(client, `guess-${first + n}`)));
    const { storage } = latchkey.server.core;
    /** As many wrong guesses, of which the first and the last few are made. */
    const guessed = async (client: { id: string; client_id: string }, count: number) => {
      const replies = await guess(client, 1);
      const { numUpdatedRows } = await storage.write((tx) =>
        tx.db
          .updateTable("budgets")
          .set(({ eb }) => ({ count: eb("count", "+", count - 5) }))
          .where("subject", "like", `${client.id} %`)
          .executeTakeFirstOrThrow(),
      );
      expect(Number(numUpdatedRows)).toBe(1);
      return [...replies, ...(await guess(client, 4, count))].map(({ status }) => status);
    };
    const [at_work, fresh, another] = await Promise.all([clientOf(), clientOf(), clientOf()]);
    expect((await ask(at_work, "tr0ub4dor")).status).toBe(200);
    for (const client of [at_work, fresh]) expect(await guessed(client, 99)).toEqual(Array(5).fill(401));
    expect((await ask(fresh, "tr0ub4dor")).status, "one guess is left").toBe(200);
    await guessed(another, 101);
    expect((await ask(another, "tr0ub4dor")).status, "used up, and never seen here").toBe(401);
    await guess(at_work, 2);
    expect((await ask(at_work, "tr0ub4dor")).status, "known to be right").toBe(200);
    expect((await ask(at_work, "guess-1")).body.error).toBe("invalid_client");
    // More at once than may wait for a slow hash: what was not compared is not counted.
    const many = await Promise.all(Array.from({ length: 4 }, clientOf));
    const replies = (await Promise.all(many.map((client) => guess(client, 90)))).flat();
    const compared = replies.filter(({ status }) => status === 401).length;
    expect(compared).toBeLessThan(replies.length);
    const ids = many.map(({ id }) => id);
    const all = storage.read.selectFrom("budgets").where("budget", "=", "secret_guess");
    const rows = (await all.select(["subject", "count"]).execute()).filter(({ subject }) =>
      ids.some((id) => subject.startsWith(`${id} `)),
    );
    expect(rows.reduce((sum, { count }) => sum + Number(count), 0)).toBe(compared);
  });
});

/** Ends the pause between two sends, as time would. */
async function waitOut(latchkey: Latchkey, tenant: Tenant): Promise<void> {
  const { storage } = latchkey.server.core;
  const earlier = new Date(storage.now() - 31_000).toISOString();
  await storage.write((tx) =>
    tx.db
      .updateTable("verification_codes")
      .set({ last_sent_at: earlier })
      .where("account_id", "=", tenant.account_id)
      .execute(),
  );
}

/** `latchkey user erase`: nothing in the database says who a person was, and nobody else loses anything. */
import { sql } from "kysely";
import { afterAll, beforeAll, expect, it } from "vitest";
import { associateTotp, enableTotp } from "../../src/authentication/mfa/change-factors.ts";
import { loginAtHand } from "../../src/directory/users/logins-ended.ts";
import { reveal, secret } from "../../src/secrets/secret.ts";
import { uuidv7 } from "../../src/secrets/uuid.ts";
import type { Tables } from "../../src/storage/tables.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  actor,
  addClient,
  addGrant,
  addUser,
  askForCode,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  MASTER_KEY,
  newOwnerId,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { readDatabase } from "../support/leaks.ts";
import { oneTimePassword, setFactors, setPassword } from "../support/people.ts";
import { cli } from "../support/process.ts";
import { answered, type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

interface Person {
  readonly id: string;
  readonly email: string;
  readonly new_email: string;
  readonly phone_number: string;
  readonly name: string;
  readonly username: string;
  readonly subject: string;
  readonly ip: string;
  readonly user_agent: string;
  readonly refresh_token: string;
  readonly access_token: string;
}

let people = 0;

describeOnBothEngines("a person who is erased", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let foreign: TestClient;
  let standard: StandardClient;
  let env: Record<string, string>;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { TRUSTED_PROXIES: "127.0.0.1/32" } });
    tenant = await createTenant(latchkey, {
      ...{ account_id: newOwnerId(), client: { code_format: "numeric" }, settings: { signup: true } },
    });
    const grant_types = ["authorization_code", "refresh_token"] as const;
    foreign = await addClient(latchkey, tenant.account_id, { grant_types: [...grant_types], signup: true });
    await addGrant(latchkey, tenant.account_id, foreign, tenant.audience, ["orders:read"]);
    standard = standardClient(latchkey, tenant, foreign);
    const { public_url } = latchkey.config;
    env = { DATABASE_URL: latchkey.database.database_url, MASTER_KEY, PUBLIC_URL: public_url };
  });
  afterAll(() => latchkey.close());

  const storage = () => latchkey.server.core.storage;
  const insert = (table: keyof Tables, row: object) =>
    storage().write(
      async ({ db }) =>
        void (await db
          .insertInto(table)
          .values(row as never)
          .execute()),
    );
  const erase = async (name: string, ...flags: string[]) => {
    const { code, stdout, stderr } = await cli(env, "user", "erase", tenant.account_id, name, "--json", ...flags);
    return { code, ...JSON.parse(stdout || stderr) };
  };

  /** What says who they are, and what it is called. */
  const traces = ({ email, new_email, phone_number, name, username, subject, ip, user_agent }: Person) => [
    ...[email, email.toLowerCase(), new_email, phone_number, name, username, subject, ip, user_agent],
    phone_number.slice(3),
    email.split("@")[0]?.toLowerCase() ?? "",
  ];
  /** What of a person is found in the database. */
  const found = async (person: Person) => {
    const text = (await readDatabase(storage())).toLowerCase();
    return traces(person).filter((trace) => text.includes(trace.toLowerCase()));
  };

  /** Somebody with all that a person can have. `email` signs up by logging in. */
  async function live(fields: { readonly email?: string } = {}): Promise<Person> {
    people += 1;
    const letters = String.fromCharCode(96 + people).repeat(6);
    const account_id = tenant.account_id;
    const email = fields.email ?? `Zebulon.${letters}@Example.com`;
    const [phone_number, name] = [`+4791${String(654_321 - people)}`, `Zebulon Q. ${letters}`];
    const [ip, user_agent] = [`203.0.113.${100 + people}`, `Netscape ${letters}`];
    const from = { "x-forwarded-for": ip, "user-agent": user_agent };
    const user = fields.email ? undefined : await addUser(latchkey, account_id, { email, phone_number });
    const surfer = openSurfer(latchkey, from);
    const asked = standard.address(foreign, { scope: "openid email offline_access", resource: tenant.audience });
    const waiting = await surfer.act(await surfer.visit(asked), "identify", { identifier: email });
    const wrong = await surfer.act(waiting, "code", { code: "000000" });
    const [message] = await inbox(tenant, email);
    const asking = await surfer.act(wrong, "code", { code: message?.verification_code ?? "" });
    const shown = await surfer.act(asking, "allow");
    const first = (await standard.redeem(answered(shown).get("code") ?? "")).body;
    const id = user?.id ?? claimsOf(first.id_token).sub;

    const owner = { account_id, user_id: id };
    const profile = JSON.stringify({ agreement: { name } });
    await storage().write(async ({ db }) => {
      const filled = { name, profile, phone_number, customer_id: `customer-${letters}` };
      await db.updateTable("users").set(filled).where("id", "=", id).execute();
    });
    const links = [{ rel: "customers_user", href: `https://shop.example/users/customer-${letters}` }];
    const json = { username: `zeb-${letters}`, password: "correct horse battery", links };
    const named = await call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, headers: from, json });
    expect(named.status, named.text).toBe(200);
    // A name with a password ended what came before it, in the browser too.
    const again = await surfer.logIn(asked, tenant, email);
    const issued = (await standard.redeem(answered(again).get("code") ?? "")).body;
    expect(issued.refresh_token, JSON.stringify(issued)).toBeTruthy();
    await setPassword(latchkey, account_id, id);
    await setFactors(latchkey, account_id, id, { sms: phone_number, email });
    const { directory } = latchkey.server.core;
    const login = loginAtHand({ sid: "at-hand", began_at: storage().now() });
    const totp = await associateTotp(directory, owner, email, "Shop", login);
    await enableTotp(directory, owner, secret(oneTimePassword(reveal(totp.secret))), {
      ...{ actor, login },
      endLogins: async () => {},
    });
    const created_at = new Date(storage().now()).toISOString();
    const subject = `upstream|${letters}`;
    const identity = { ...owner, issuer: "https://idp.example", subject, created_at };
    await insert("federated_identities", identity);
    const answer = JSON.stringify({ subject: { user_id: id }, claims: { email, name } });
    const device = { id: `device-${letters}`, client_id: foreign.id, parameters: "{}", state: "approved", answer };
    const codes = { digest: Buffer.from(`poll ${letters}`), user_code_digest: Buffer.from(`typed ${letters}`) };
    const waits = { poll_interval: 5_000, created_at, expires_at: new Date(storage().now() + 600_000).toISOString() };
    await insert("device_codes", { account_id, ...device, ...codes, ...waits });
    await insert("user_roles", { ...owner, role_id: `role-${letters}` });

    const about = { grant_type: "password", audience: tenant.audience };
    const password = { ...about, username: `zeb-${letters}`, password: "correct horse battery" };
    for (const text of ["a wrong guess at it", password.password]) {
      const json = { ...password, password: text };
      await call(`${tenant.base}/auth/token`, { method: "POST", token: tenant.token, headers: from, json });
    }
    const post = (path: string, json: object) =>
      call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, headers: from, json });
    const new_email = `new-${email}`;
    const contact = `/customers/users/${id}/communication/send-verification-code/email`;
    expect((await post(contact, { value: new_email })).status).toBe(204);
    expect((await post("/signup", { email })).status).toBe(200);
    await askForCode(tenant, { email, headers: from });
    const undecided = openSurfer(latchkey, from);
    await undecided.act(await undecided.visit(asked), "identify", { identifier: email });
    await undecided.visit(standard.address(foreign, { login_hint: email, resource: tenant.audience }));
    const { refresh_token, access_token } = issued;
    return {
      ...{ id, email, new_email, phone_number, name, username: `zeb-${letters}`, subject, ip, user_agent },
      ...{ refresh_token, access_token },
    };
  }

  const refresh = async ({ refresh_token }: Person) =>
    (await standard.token({ grant_type: "refresh_token", refresh_token })).status;

  it("is found nowhere, while another stays as they are", async () => {
    const [person, other] = [await live(), await live()];
    expect(await found(person)).toEqual(traces(person));
    const before = await found(other);
    const planned = await erase(person.email);
    expect(planned).toMatchObject({ code: 0, id: person.id, erased: false });
    expect(planned.rows).toMatchObject({ users: 1, passwords: 1, factors: 3, federated_identities: 1, consents: 1 });
    // No session of theirs has an end that is under way.
    const none = Object.entries(planned.rows).filter(([, count]) => count === 0);
    expect(none).toEqual([
      ["session_endings", 0],
      ["person_endings", 0],
    ]);
    expect(await found(person)).toEqual(traces(person));

    const done = await erase(person.email, "--yes");
    expect(done).toMatchObject({ code: 0, id: person.id, erased: true });
    expect(await found(person)).toEqual([]);
    expect(await found(other)).toEqual(before);
    const { rows } = await sql<{ id: string; type: string; deleted_at: string }>`select id, type, deleted_at from users
      where id = ${person.id}`.execute(storage().read);
    expect(rows).toEqual([{ id: person.id, type: "customer", deleted_at: expect.any(String) }]);
    const events = await storage()
      .read.selectFrom("audit_events")
      .selectAll()
      .where("entity", "=", person.id)
      .execute();
    expect(events.map(({ action }) => action)).toEqual(expect.arrayContaining(["user.deleted", "user.erased"]));

    await expect.poll(async () => (await introspect(person)).active, { timeout: 10_000 }).toBe(false);
    expect([await refresh(person), await refresh(other)]).toEqual([400, 200]);
    expect((await introspect(other)).active).toBe(true);

    expect(await erase(person.id, "--yes")).toMatchObject({ code: 0, id: person.id, erased: true });
    expect((await erase(person.email, "--yes")).error).toMatchObject({ code: "not_found" });
    expect(await found(other)).toEqual(before);
  });

  const introspect = async ({ access_token: text }: Person) => {
    const options = { method: "POST", headers: { authorization: basic(foreign) }, form: { token: text } };
    return (await call(`${tenant.base}/oauth/introspect`, options)).body;
  };

  it("was deleted before, or signed up by logging in; and signs up again", async () => {
    const email = "Newcomer.Quux@example.com";
    const first = await live({ email });
    const gone = await call(`${tenant.base}/customers/users/${first.id}`, { method: "DELETE", token: tenant.token });
    expect(gone.status, gone.text).toBe(200);
    expect(await found(first)).toEqual(traces(first));
    expect(await erase(first.id, "--yes")).toMatchObject({ code: 0, erased: true });
    expect(await found(first)).toEqual([]);

    const second = await live({ email });
    expect(second.id).not.toBe(first.id);
    expect(await erase(first.id, "--yes")).toMatchObject({ code: 0, erased: true });
    expect(await found(second)).toEqual(traces(second));
    expect(await refresh(second)).toBe(200);
  });

  it("signed up when another master key was the newest", async () => {
    const person = await live({ email: "Rotated.Corge@example.com" });
    const newer = Buffer.alloc(32, 9).toString("base64");
    const rotated = { ...env, MASTER_KEY: `${newer},${MASTER_KEY}` };
    const { code, stderr } = await cli(rotated, "user", "erase", tenant.account_id, person.id, "--yes");
    expect([code, stderr]).toEqual([0, ""]);
    expect(await found(person)).toEqual([]);
  });

  it("is named so that it can only be them", async () => {
    const { code, error } = await erase("nobody@example.com", "--yes");
    expect([code, error.code]).toEqual([1, "not_found"]);
    const shared = { phone_number: "+4791000001" };
    const [one, two] = [
      await addUser(latchkey, tenant.account_id, shared),
      await addUser(latchkey, tenant.account_id, shared),
    ];
    const refused = await erase(shared.phone_number, "--yes");
    expect([refused.code, refused.error.message]).toEqual([1, expect.stringContaining(one.id)]);
    expect(await erase(one.id, "--yes")).toMatchObject({ erased: true });
    const left = await call(`${tenant.base}/customers/users/${two.id}`, { token: tenant.token });
    expect(left.body.phone_number).toBe(shared.phone_number);
    const told = await cli(env, "user", "erase", tenant.account_id, two.id);
    expect([told.code, told.stdout]).toEqual([0, expect.stringContaining("--yes")]);
  });

  it("had more codes than one statement can name", async () => {
    const account_id = tenant.account_id;
    const { id, email, phone_number } = await addUser(latchkey, account_id);
    const ip = "203.0.113.250";
    expect((await askForCode(tenant, { email, headers: { "x-forwarded-for": ip } })).status).toBe(204);
    const now = storage().now();
    const code = (n: number) => `code-${String(n).padStart(6, "0")}`;
    const most = 33_000;
    const events = Array.from({ length: most }, (_, n) => ({
      ...{ account_id, id: uuidv7(now), created_at: new Date(now).toISOString(), action: "verification_code.issued" },
      ...{ outcome: "success" as const, entity: id, actor: null },
      context: JSON.stringify({ code_id: code(n), ...(n % 1_000 === 0 ? { ip } : {}) }),
    }));
    await storage().write(async ({ db }) => {
      for (let from = 0; from < most; from += 3_000)
        await db
          .insertInto("audit_events")
          .values(events.slice(from, from + 3_000))
          .execute();
      // Asked for before anybody knew whose it was: only the events lead there.
      const unknown = { id: code(most - 1), person: "x:nobody", email, phone_number };
      await db.updateTable("verification_codes").set(unknown).where("person", "=", id).execute();
    });
    const done = await erase(id, "--yes");
    expect(done).toMatchObject({ code: 0, erased: true, rows: { verification_codes: 1 } });
    expect(done.rows.audit_events).toBeGreaterThanOrEqual(most / 1_000);
    const text = await readDatabase(storage());
    expect([email, phone_number, ip].filter((trace) => text.includes(trace))).toEqual([]);
  }, 120_000);
});

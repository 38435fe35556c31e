/** Codes that went to an address or number nobody was known by, and come back when somebody is. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { claimsOf } from "../support/claims.ts";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  askForCode,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  MASTER_KEY,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { code } from "../support/replies.ts";
import { letPass } from "../support/time.ts";
import { wrongGuesses } from "../support/verification.ts";

const answered = (reply: Reply) => new URL(reply.headers.get("location") ?? "https://nowhere.example");
const subject = (reply: Reply) => claimsOf(answered(reply).searchParams.get("id_token") ?? "").sub;

describeOnBothEngines("a code for who was not known when it was sent", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  /** Two clients that sign people up; the first may also make users. */
  async function openShop(code_format: "typable" | "numeric"): Promise<[tenant: Tenant, other: TestClient]> {
    const tenant = await createTenant(latchkey, { client: { signup: true, code_format } });
    const other = await addClient(latchkey, tenant.account_id, { signup: true, code_format });
    await addGrant(latchkey, tenant.account_id, other, tenant.audience, ["orders:read"]);
    return [tenant, other];
  }
  const named = (email: string) => ({ ident_type: "email", ident: email });
  const guessesOf = async ({ account_id }: Tenant, person: string) => {
    const budgets = latchkey.server.core.storage.read.selectFrom("budgets").select("count");
    const rows = await budgets
      .where("account_id", "=", account_id)
      .where("budget", "=", "numeric_guess")
      .where("subject", "=", person)
      .execute();
    return rows[0]?.count ?? 0;
  };

  it.each(["typable", "numeric"] as const)(
    "logs them in once they have signed up at another client, however they are named: %s",
    async (code_format) => {
      const [tenant, other] = await openShop(code_format);
      const mail = { to: { email: "new@example.com" }, ident_type: "email", ident: "new@example.com" };
      const sms = { to: { phone_number: "+4741230001" }, ident_type: "phone_number", ident: "+4741230001" };
      for (const { to, ...ident } of [mail, sms]) {
        const asking = { connection: to === mail.to ? "email" : "sms", ...to };
        const first = await receiveCode(tenant, asking);
        const second = await receiveCode(tenant, { ...asking, client: other });
        const signed_up = await authorize(tenant, { verification_code: first, ...ident });
        expect(signed_up.status, signed_up.text).toBe(302);
        const pending = { client_id: other.client_id, verification_code: second, ...ident };
        const stranger = await authorize(tenant, { ...pending, ...named(tenant.user.email) });
        expect(code(stranger), "another person's").toEqual([400, "invalid_verification_code"]);
        const logged_in = await authorize(tenant, pending);
        expect(code(logged_in)).toEqual([302, undefined]);
        expect(subject(logged_in)).toBe(subject(signed_up));
        expect(code(await authorize(tenant, pending))).toEqual([400, "verification_code_used"]);
        expect(await guessesOf(tenant, subject(signed_up)), "no right code is a guess").toBe(0);
      }
    },
  );

  it.each(["typable", "numeric"] as const)(
    "logs in the customer whom the account made meanwhile, for whichever client it was sent: %s",
    async (code_format) => {
      const [tenant, other] = await openShop(code_format);
      const email = "made@example.com";
      const codes = [await receiveCode(tenant, { email }), await receiveCode(tenant, { email, client: other })];
      const asked = await askForCode(tenant, { email, client: other, audience: tenant.audience });
      const made = await call(`${tenant.base}/customers/users`, {
        method: "POST",
        token: tenant.token,
        json: { email },
      });
      expect(made.status, made.text).toBe(200);
      const about = { grant_type: "authorization_code", audience: tenant.audience, ...named(email) };
      for (const verification_code of codes) {
        const reply = await token(tenant, { ...about, verification_code });
        expect(code(reply)).toEqual([200, undefined]);
        expect(claimsOf(reply.body.access_token).sub).toBe(made.body.id);
      }
      const login_session_id = asked.headers.get("login-session-id") ?? "";
      const again = { ...about, verification_code: codes[1], login_session_id };
      expect(code(await token(tenant, again)), "the session is theirs too").toEqual([400, "verification_code_used"]);
    },
  );

  it.each(["typable", "numeric"] as const)(
    "is spent with the one that they got under their own name, whichever comes first: %s",
    async (code_format) => {
      const [tenant] = await openShop(code_format);
      for (const first of [0, 1]) {
        const email = `spent.${first}@example.com`;
        const codes = [await receiveCode(tenant, { email })];
        const json = { email };
        const made = await call(`${tenant.base}/customers/users`, { method: "POST", token: tenant.token, json });
        expect(made.status, made.text).toBe(200);
        codes.push(await receiveCode(tenant, { email }));
        expect(codes[0]).not.toBe(codes[1]);
        const enter = (n: number) => authorize(tenant, { verification_code: codes[n], ...named(email) });
        const logged_in = await enter(first);
        expect(code(logged_in)).toEqual([302, undefined]);
        expect(subject(logged_in)).toBe(made.body.id);
        expect(code(await enter(1 - first)), `after ${first}`).toEqual([400, "verification_code_used"]);
        expect(await guessesOf(tenant, made.body.id)).toBe(0);
      }
    },
  );

  it("that comes twice says that it was used, and revokes what it began after a double click's time", async () => {
    const [tenant] = await openShop("numeric");
    const email = "twice@example.com";
    const asked = { audience: tenant.issuer, email };
    const verification_code = await receiveCode(tenant, asked);
    const { audience } = asked;
    const redeem = () => authorize(tenant, { audience, verification_code, response_type: "token", ...named(email) });
    const bearer = new URLSearchParams(answered(await redeem()).hash.slice(1)).get("access_token") ?? "";
    // A live person's token is refused with 403 at a client's route, a revoked one with 401.
    const alive = async () => (await call(`${tenant.base}/auth/clients`, { token: bearer })).status;
    expect(code(await redeem())).toEqual([400, "verification_code_used"]);
    expect([await alive(), await guessesOf(tenant, claimsOf(bearer).sub)]).toEqual([403, 0]);
    await letPass(latchkey, "verification_codes", tenant.account_id, 11, ["spent_at"]);
    expect(code(await redeem())).toEqual([400, "verification_code_used"]);
    expect(await alive()).toBe(401);
  });

  it("is dead after five wrong guesses by its person's address, which are counted against the person", async () => {
    const [tenant, other] = await openShop("numeric");
    const email = "guessed@example.com";
    const first = await receiveCode(tenant, { email });
    const right = await receiveCode(tenant, { email, client: other });
    const sub = subject(await authorize(tenant, { verification_code: first, ...named(email) }));
    const guess = (verification_code: string) =>
      authorize(tenant, { client_id: other.client_id, verification_code, ...named(email) });
    const replies = await Promise.all(wrongGuesses(right, 20).map(guess));
    expect(replies.filter(({ status }) => status === 400)).toHaveLength(5);
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(15);
    expect(await guessesOf(tenant, sub)).toBe(5);
    expect(code(await guess(right))).toEqual([429, "too_many_attempts"]);
    expect(await inbox(tenant, email), "nothing more went out").toHaveLength(2);
  });

  it.each(["typable", "numeric"] as const)(
    "is theirs at a process whose newest master key is another one: %s",
    { timeout: 60_000 },
    async (code_format) => {
      const newer = Buffer.alloc(32, 9).toString("base64");
      const orders = [`${MASTER_KEY},${newer}`, `${newer},${MASTER_KEY}`, `${MASTER_KEY},${newer}`];
      const port = await freePort();
      const start = (database: TestDatabase, keys = "") =>
        startLatchkey(engine, { database, port, env: { MASTER_KEY: keys } });
      const database = await createTestDatabase(engine);
      let server = await start(database, orders[0]);
      const settings = { signup: true, code_format };
      const tenant = await createTenant(server, { client: settings });
      const other = await addClient(server, tenant.account_id, settings);
      await addGrant(server, tenant.account_id, other, tenant.audience, ["orders:read"]);
      for (const keys of orders.slice(1)) {
        const emails = ["authorize", "token", "session"].map((way) => `${way}.${keys === orders[1]}@example.com`);
        const [first = "", second = "", third = ""] = emails;
        const codes = [await receiveCode(tenant, { email: first })];
        codes.push(await receiveCode(tenant, { email: second, client: other }));
        const asked = await askForCode(tenant, { email: third, audience: tenant.audience });
        const [message] = await inbox(tenant, third);
        await server.stop();
        server = await start(database, keys);
        const stranger = await authorize(tenant, { verification_code: codes[0], ...named(second) });
        expect(code(stranger), "another person's").toEqual([400, "invalid_verification_code"]);
        expect(code(await authorize(tenant, { verification_code: codes[0], ...named(first) }))).toEqual([
          302,
          undefined,
        ]);
        const about = { grant_type: "authorization_code", audience: tenant.audience };
        const found = await token(tenant, { ...about, verification_code: codes[1], ...named(second) });
        expect(code(found)).toEqual([200, undefined]);
        const login_session_id = asked.headers.get("login-session-id") ?? "";
        const both = { verification_code: message?.verification_code, login_session_id, ...named(third) };
        expect(code(await authorize(tenant, both))).toEqual([302, undefined]);
      }
      await server.close();
    },
  );
});

/** Addresses that somebody merely entered: they let nobody in as who entered them, and keep nobody from what is theirs. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { signUpUser } from "../../src/directory/users/sign-up.ts";
import { insertUser } from "../../src/directory/users/store.ts";
import { uuidv7 } from "../../src/secrets/uuid.ts";
import { instant, type Transaction } from "../../src/storage/storage.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { overlap } from "../support/overlap.ts";
import { code } from "../support/replies.ts";

describeOnBothEngines("an address that somebody merely entered", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  /** May make users, and verify nothing. */
  let clerk: string;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey, { client: { signup: true } });
    const client = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, client, tenant.issuer, ["create:customers:/users"]);
    clerk = await tokenOf(latchkey, tenant.account_id, client);
  });
  afterAll(() => latchkey.close());

  const send = (method: string, path: string, json?: object, bearer = tenant.token) =>
    call(`${tenant.base}${path}`, { method, token: bearer, ...(json ? { json } : {}) });
  const enter = async (email: string) => {
    const made = await send("POST", "/customers/users", { email, customer_id: `as-${email}` }, clerk);
    expect(made.status, made.text).toBe(200);
    return made.body.id as string;
  };
  const shownOf = async (id: string) => (await send("GET", `/customers/users/${id}`)).body;
  const subject = (reply: Reply) =>
    claimsOf(new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "").sub;
  const logIn = async (email: string) =>
    subject(await authorize(tenant, { verification_code: await receiveCode(tenant, { email }) }));

  it("lets its owner in as somebody new, and leaves the other's record, which is written down", async () => {
    const email = "bob@example.com";
    const eve = await enter(email);
    const bob = await logIn(email);
    expect(bob).not.toBe(eve);
    expect(await logIn(email), "the second time").toBe(bob);
    expect(await shownOf(bob)).toMatchObject({ id: bob, email });
    const left = await shownOf(eve);
    expect([left.id, left.customer_id, "email" in left]).toEqual([eve, `as-${email}`, false]);
    const events = await latchkey.server.core.storage.read
      .selectFrom("audit_events")
      .select(["action", "actor", "outcome"])
      .where("entity", "=", eve)
      .where("action", "=", "user.address_taken")
      .execute();
    expect(events).toEqual([{ action: "user.address_taken", actor: bob, outcome: "success" }]);
  });

  it("has one owner, of however many codes that sign it up at once", async () => {
    const other = await addClient(latchkey, tenant.account_id, { signup: true });
    await addGrant(latchkey, tenant.account_id, other, tenant.audience, ["orders:read"]);
    for (let round = 0; round < 6; round++) {
      const email = `several-${round}@example.com`;
      const eve = await enter(email);
      const codes = [await receiveCode(tenant, { email }), await receiveCode(tenant, { client: other, email })];
      const replies = await Promise.all(
        [tenant.client, other].map(({ client_id }, n) => authorize(tenant, { client_id, verification_code: codes[n] })),
      );
      const subjects = new Set(replies.map(subject));
      expect([subjects.size, subjects.has(eve)], `round ${round}`).toEqual([1, false]);
    }
  });

  it("has one owner of two whose sign-ups overlap, and goes to whom it was entered for while they signed up", async () => {
    const { storage } = latchkey.server.core;
    const { account_id } = tenant;
    const now = storage.now();
    const person = (email: string) => ({
      ...({ account_id, type: "customer", email, phone_number: null, locale: null } as const),
      now,
    });
    const signUp = (email: string) => (tx: Transaction) => signUpUser(tx, person(email));
    const twice = signUp("twice@example.com");
    const both = await overlap(storage, twice, () => storage.write(twice));
    const ids = both.map((one) => (one.status === "fulfilled" ? one.value.id : one.reason));
    expect(new Set(ids)).toEqual(new Set([expect.any(String)]));
    const email = "meanwhile@example.com";
    const { now: _now, ...row } = person(email);
    const nobody = { id: uuidv7(now), email_canonical: email, email_verified_at: null, phone_verified_at: null };
    const stamps = { customer_id: null, name: null, created_at: instant(now), created_by: null };
    const entering = (tx: Transaction) => insertUser(tx.db, { ...row, ...nobody, ...stamps });
    const [entered, signed] = await overlap(storage, entering, () => storage.write(signUp(email)));
    expect([entered, signed]).toMatchObject([{ value: true }, { status: "fulfilled", value: { email } }]);
    expect(signed.status === "fulfilled" && signed.value.id).not.toBe(nobody.id);
    expect("email" in (await shownOf(nobody.id))).toBe(false);
  });

  it("goes to somebody of the account who verifies it, and is taken by nobody who does not", async () => {
    const email = "carol@example.com";
    const eve = await enter(email);
    for (const bearer of [clerk, tenant.token])
      expect(code(await send("POST", "/customers/users", { email }, bearer))).toEqual([400, "invalid_request"]);
    expect(await shownOf(eve)).toMatchObject({ email });
    const { id } = await addUser(latchkey, tenant.account_id);
    const path = (operation: string) => `/customers/users/${id}/communication/${operation}/email`;
    await send("POST", path("send-verification-code"), { value: email });
    const [mail] = await inbox(tenant, email);
    const confirmed = await send("POST", path("confirm-verification-code"), { code: mail?.verification_code });
    expect(confirmed.status, confirmed.text).toBe(204);
    expect([await logIn(email), (await shownOf(eve)).email]).toEqual([id, undefined]);
  });

  it("stays its owner's once they verified it, also where a code that would sign it up is on its way", async () => {
    const email = "dora@example.com";
    const verification_code = await receiveCode(tenant, { email });
    const made = await send("POST", "/customers/users", { email });
    expect(made.status, made.text).toBe(200);
    expect(code(await send("POST", "/customers/users", { email }, clerk))).toEqual([400, "invalid_request"]);
    expect(subject(await authorize(tenant, { verification_code }))).toBe(made.body.id);
    expect(await shownOf(made.body.id)).toMatchObject({ email });
  });
});

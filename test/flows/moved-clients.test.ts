/** What docs/guides/account-api.md says of clients that are moved here: they go on with a setting, are refused without. */
import { afterAll, beforeAll, expect, it } from "vitest";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  addUser,
  askForCode,
  authorize,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  newOwnerId,
  type Reply,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, setPassword, token } from "../support/people.ts";

const SCOPE = ["admin:accounts", "admin:customers"];
const answer = ({ status, body }: Reply) => (body?.error ? [status, body.error.code] : status);

describeOnBothEngines("a client that was moved here", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const post = (own: Tenant, path: string, json: object, bearer = own.token) =>
    call(`${own.base}/${path}`, { method: "POST", token: bearer, json });
  /** By a code that nobody has to read. */
  const logIn = async (own: Tenant) => {
    const about = { grant_type: "authorization_code", ident_type: "user_id", ident: own.user.id, audience: own.issuer };
    const { body } = await token(own, { ...about, verification_code: await mintCode(own, { audience: own.issuer }) });
    return body.access_token as string;
  };
  const sendOn = async (own: Tenant, more: object = {}) =>
    post(own, "auth/redirect", { redirect_uri: CALLBACK, ...more }, await logIn(own));
  const staff = async (own: Tenant) => {
    const { id, email } = await addUser(latchkey, own.account_id, { type: "account_user" });
    await setPassword(latchkey, own.account_id, id);
    const login = { grant_type: "password", username: email, password: PASSWORD, audience: own.issuer };
    const access_token = (await token(own, login)).body.access_token;
    return call(`${latchkey.url}/v1/account/user`, { token: access_token });
  };

  it.each<[string, Partial<ClientSettings>, Partial<ClientSettings>, (own: Tenant) => Promise<Reply>, unknown, number]>(
    [
      [
        "sends type=company",
        { user_type: "company" },
        {},
        (own) => askForCode(own, { type: "company", email: "firm@example.com" }),
        [400, "invalid_request"],
        204,
      ],
      [
        "logs account users in",
        { user_type: "account_user", first_party: true },
        { user_type: "account_user" },
        staff,
        [403, "insufficient_scope"],
        200,
      ],
      ["sends redirect_uri", {}, { callbacks: [] }, sendOn, [400, "redirect_uri_mismatch"], 302],
      [
        "sends custom_claims",
        { custom_claims: ["cart"] },
        {},
        (own) => sendOn(own, { custom_claims: { cart: "7" } }),
        [400, "invalid_request"],
        302,
      ],
      [
        "sends response_type=token",
        { response_types: ["token"] },
        { response_types: ["authenticate", "code"] },
        async (own) => authorize(own, { response_type: "token", verification_code: await mintCode(own) }),
        [400, "unsupported_response_type"],
        302,
      ],
    ],
  )("and %s", async (_what, told, bare, ask, refused, done) => {
    const scope = [...SCOPE, "openid"];
    expect(answer(await ask(await createTenant(latchkey, { scope, client: bare }))), "without").toEqual(refused);
    const reply = await ask(await createTenant(latchkey, { scope, client: told }));
    expect(answer(reply), reply.text).toEqual(done);
  });

  it("and asks for codes for people who are not here yet", async () => {
    for (const signup of [false, true]) {
      const own = await createTenant(latchkey, { client: { signup } });
      expect((await askForCode(own, { email: "new@example.com" })).status).toBe(204);
      expect((await inbox(own, "new@example.com")).length).toBe(signup ? 1 : 0);
    }
  });

  it("and asks whether a user exists", async () => {
    for (const public_user_exists of [false, true]) {
      const own = await createTenant(latchkey, { settings: { public_user_exists } });
      const client = await addClient(latchkey, own.account_id);
      await addGrant(latchkey, own.account_id, client, own.issuer, ["public:customers"]);
      const bearer = await tokenOf(latchkey, own.account_id, client);
      const path = `${own.base}/customers/users?email=${encodeURIComponent(own.user.email)}`;
      expect((await call(path, { method: "HEAD", token: bearer })).status).toBe(public_user_exists ? 200 : 403);
    }
  });

  it("and lets people sign up for accounts", async () => {
    for (const signup of [false, true]) {
      const account_id = newOwnerId();
      const own = await createTenant(latchkey, {
        account_id,
        scope: [...SCOPE, "create:account"],
        settings: { signup },
      });
      const reply = await post(own, "signup", { email: `me-${engine}@example.com` });
      expect(answer(reply), reply.text).toEqual(signup ? 200 : [403, "access_denied"]);
    }
  });

  it("and logs in with passwords, or sets short ones", async () => {
    const own = await createTenant(latchkey);
    const { email } = await addPerson(latchkey, own.account_id);
    const audience = "https://till.example";
    const login = { grant_type: "password", username: email, password: PASSWORD, audience };
    await addGrant(latchkey, own.account_id, own.client, audience, [], "authorization_code");
    expect(answer(await token(own, login))).toEqual([403, "unauthorized_client"]);
    await addGrant(latchkey, own.account_id, own.client, audience, [], "password");
    expect(answer(await token(own, login))).toBe(200);
    const short = await post(own, "customers/users", { email: "short@example.com", password: "7 chars" });
    expect(answer(short)).toEqual([400, "invalid_request"]);
    expect(short.text).toContain("must have at least 8 characters");
  });
});

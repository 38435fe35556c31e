/** No answer that holds a secret may be stored on its way: every operation that can answer one is made to. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  authorize,
  basic,
  CALLBACK,
  type CallOptions,
  call,
  createTenant,
  type Latchkey,
  mintCode,
  newOwnerId,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { ATTEMPTS, idsOf } from "../support/operations.ts";
import { logInAccountUser, personToken } from "../support/people.ts";
import { standardOperations } from "../support/standard-operations.ts";
import { openUpstream } from "../support/upstream.ts";

/** What a secret is called in an answer; an address to go to holds a token or a code. */
const SECRET =
  /^(secret|client_secret|((access|refresh|id|mfa|registration_access|previous_password)_token)|(verification|oob|device|user)_code|request_uri|redirect_uri)$/;
/** Their answers are described without fields. */
const UNDESCRIBED = ["oauth_register_post", "oauth_register_client_get", "oauth_register_client_put"];

/** Names of fields, however deep. Where a provider answers to is for everybody to know. */
function namesIn(value: unknown): readonly string[] {
  if (typeof value !== "object" || value === null) return [];
  const within = (name: string, inner: unknown) =>
    name === "oidc" ? namesIn(inner).filter((one) => one !== "redirect_uri") : namesIn(inner);
  return Object.entries(value).flatMap(([name, inner]) => [name, ...within(name, inner)]);
}
const isSecret = (name: string) => SECRET.test(name);

describeOnBothEngines("an answer with a secret", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  const seen = new Set<string>();
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  function saw(operation: string, reply: Reply): Reply {
    if (reply.status >= 300 || !namesIn(reply.body).some(isSecret)) return reply;
    seen.add(operation);
    expect(reply.headers.get("cache-control"), `${operation} ${reply.status}`).toBe("no-store");
    return reply;
  }
  const post = (operation: string, url: string, options: CallOptions) =>
    call(url, { method: "POST", ...options }).then((reply) => saw(operation, reply));

  /** Operations that say that they answer with one. */
  async function listDescribed(): Promise<readonly string[]> {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as { paths: Record<string, object> };
    const all: { operationId: string; responses: object }[] = Object.values(paths).flatMap(Object.values);
    const tells = ({ responses }: { responses: object }) =>
      Object.entries(responses).some(([status, answer]) => status.startsWith("2") && namesIn(answer).some(isSecret));
    return all.filter(tells).map(({ operationId }) => operationId);
  }

  async function logInElsewhere() {
    const upstream = await openUpstream({ ada: {} });
    const { id } = await addClient(latchkey, tenant.account_id, { signup: true });
    const { client_id, client_secret, issuer: authority } = upstream;
    const about = { client_id: id, audience: tenant.audience };
    const json = { ...about, scope: [], type: "authorization_code", oidc: { client_id, client_secret, authority } };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json });
    const login = {
      ...about,
      grant_type: "authorization_code",
      redirect_uri: CALLBACK,
      code: await upstream.logIn("ada"),
    };
    await post("aid_auths_oidc_token_post", `${tenant.base}/auth/oidc/token`, { token: tenant.token, json: login });
    await upstream.close();
  }

  it("R25 lets nobody store a secret, whichever operation answers with it", async () => {
    const described = [...(await listDescribed()), ...UNDESCRIBED];
    expect(described.length).toBeGreaterThan(20);
    for (const { operation, method, path, options, person } of ATTEMPTS) {
      if (!described.includes(operation)) continue;
      const own = await createTenant(latchkey, { account_id: newOwnerId() });
      const ids = await idsOf(latchkey, own);
      const bearer = person ? await personToken(own) : own.token;
      saw(operation, await call(`${own.base}${path(ids)}`, { method, token: bearer, ...options?.(ids) }));
    }
    await standardOperations(latchkey, tenant, saw);
    await logInElsewhere();
    const { base, issuer, client } = tenant;
    const grant_type = "client_credentials";
    const headers = { authorization: basic(client) };
    await post("aid_auths_oauth_token_post", `${base}/auth/token`, { headers, json: { grant_type, audience: issuer } });
    await post("oauth_token_post", `${base}/oauth/token`, { headers, form: { grant_type, audience: issuer } });
    const about = { verification_code: await mintCode(tenant), response_mode: "json" };
    saw("aid_auths_oauth_authorize_post", await authorize(tenant, about));
    const asking = { token: await personToken(tenant), json: { redirect_uri: CALLBACK } };
    const accept = { accept: "application/json" };
    await post("aid_auths_oauth_redirect_post", `${base}/auth/redirect`, { ...asking, headers: accept });
    const owner = await createTenant(latchkey, { account_id: "T55600000" });
    await createTenant(latchkey, { account_id: "T55600001" });
    const partner = { token: owner.token, json: { account_id: "T55600001" } };
    await post("aid_auths_oauth_exchange_token_post", `${owner.base}/auth/exchange_token`, partner);
    const me = await logInAccountUser(latchkey, tenant);
    await post("account_user_mfa_totp_post", `${latchkey.url}/v1/account/user/mfa/totp`, { token: me.token });
    expect(described.filter((operation) => !seen.has(operation))).toEqual([]);
  });
});

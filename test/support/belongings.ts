/** One of everything that the standard surface hands out, of a tenant, and made up. */
import { randomUUID } from "node:crypto";
import { addClient, addGrant, basic, CALLBACK, call, inbox, type Latchkey, type Tenant } from "./latchkey.ts";
import { idsOf, invented } from "./operations.ts";
import { addAccountUser, logInByMail } from "./people.ts";
import { openReceiver, type Receiver } from "./receiver.ts";
import { until } from "./smtp.ts";
import { type Belongings, DEVICE, EXCHANGE } from "./standard-attempts.ts";
import { answered, standardClient } from "./standard-client.ts";
import { openSurfer } from "./surfer.ts";

/** Another OpenID provider, as far as a login that begins there. */
export async function openProvider(): Promise<Receiver> {
  const provider: Receiver = await openReceiver(() => {
    const { url: issuer } = provider;
    const endpoints = {
      authorization_endpoint: `${issuer}/a`,
      token_endpoint: `${issuer}/t`,
      jwks_uri: `${issuer}/k`,
    };
    return [200, JSON.stringify({ issuer, ...endpoints })];
  });
  return provider;
}

/** What the grant is for that names another provider. */
export const UPSTREAM = "https://upstream.example";

/** `authority`: another OpenID provider. */
export async function belongingsOf(latchkey: Latchkey, tenant: Tenant, authority: string): Promise<Belongings> {
  const { account_id, audience, base, issuer, token } = tenant;
  const ids = await idsOf(latchkey, tenant);
  const challenge = { challenge_type: "oob", mfa_token: ids.mfa_token, oob_channel: "sms" };
  const challenged = await call(`${base}/auth/mfa/challenge`, { method: "POST", token, json: challenge });
  const [binding] = await inbox(tenant);
  const grant_types = ["authorization_code", "refresh_token", "client_credentials", DEVICE, EXCHANGE] as const;
  const client = await addClient(latchkey, account_id, { grant_types: [...grant_types] });
  await addGrant(latchkey, account_id, client, audience, ["orders:read"]);
  const trusted_domains = ["example.com"];
  const oidc = { authority, client_id: "latchkey", client_secret: "upstream-secret", trusted_domains };
  const grant = { client_id: client.id, audience: UPSTREAM, scope: [], type: "authorization_code" };
  const granted = await call(`${base}/auth/client-grants`, { method: "POST", token, json: { ...grant, oidc } });

  const surfer = openSurfer(latchkey);
  const standard = standardClient(latchkey, tenant, client);
  const address = standard.address(client, { resource: audience, scope: "openid offline_access orders:read" });
  const first = await surfer.logIn(address, tenant, await standard.someone());
  const tokens = (await standard.redeem(answered(first).get("code") ?? "")).body;
  const second = await surfer.visit(address);
  const staff = await addAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
  await surfer.logIn(standard.address(staff.client), tenant, staff.email);
  const consents = await surfer.visit(`${issuer}/login/consents`);
  const begun = await surfer.visit(standard.address(client, { prompt: "login" }));

  const post = async (name: string, form: Record<string, string>) =>
    (await call(`${base}/oauth/${name}`, { method: "POST", headers: { authorization: basic(client) }, form })).body;
  const device = await post("device_authorization", { scope: "openid" });
  const pushed = await post("par", { redirect_uri: CALLBACK, response_type: "code", scope: "openid" });
  const json = { redirect_uris: [CALLBACK] };
  const registered = (await call(`${base}/oauth/register`, { method: "POST", token, json })).body;
  const staff_token = (await logInByMail(tenant, staff.client, staff.email)).body.access_token;
  // Nobody who logs in waits for this note.
  await until("the note of when they were seen", async () => {
    const users = latchkey.server.core.storage.read.selectFrom("users").select("last_seen_at");
    const [seen] = await users.where("account_id", "=", account_id).where("id", "=", staff.id).execute();
    return seen?.last_seen_at ?? undefined;
  });
  return whole({
    ...{ ids, client, token, staff_token },
    ...{ oob_code: challenged.body.oob_code, binding_code: binding?.verification_code ?? "" },
    code: answered(second).get("code") ?? "",
    access_token: tokens.access_token,
    refresh_token: tokens.refresh_token,
    id_token: tokens.id_token,
    device_code: device.device_code,
    user_code: device.user_code,
    request_uri: pushed.request_uri,
    cookie: surfer.jar.get(`lk_${account_id}`) ?? "",
    session: /name="session" value="([^"]+)"/.exec(consents.html)?.[1] ?? "",
    request: answered(begun).get("request") ?? "",
    provider: granted.body.id,
    registered: registered.client_id,
    registration_token: registered.registration_access_token,
  });
}

/** Every text of it. */
export const textsOf = (value: unknown): readonly string[] =>
  typeof value === "string" ? [value] : Object.values(Object(value)).flatMap(textsOf);

/** An attempt with nothing in it would prove nothing. */
function whole(belongings: Belongings): Belongings {
  const missing = Object.entries(belongings).filter(([, value]) => !value || textsOf(value).includes(""));
  if (missing.length > 0) throw new Error(`there is no ${missing.map(([name]) => name).join(", ")}`);
  return belongings;
}

export const inventedBelongings: Belongings = {
  ids: invented,
  client: { id: randomUUID(), client_id: randomUUID(), client_secret: "x".repeat(43) },
  token: "x.y.z",
  staff_token: "x.y.z",
  oob_code: "x".repeat(100),
  binding_code: "000000",
  code: "x".repeat(200),
  access_token: "x.y.z",
  refresh_token: "x".repeat(70),
  id_token: "x.y.z",
  device_code: "x".repeat(43),
  user_code: "BBBB-BBBB",
  request_uri: `urn:ietf:params:oauth:request_uri:${"x".repeat(32)}`,
  cookie: "x".repeat(43),
  session: randomUUID(),
  request: "x".repeat(32),
  provider: randomUUID(),
  registered: randomUUID(),
  registration_token: "x".repeat(43),
};

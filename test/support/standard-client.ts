/** A standard client of a tenant, by hand: authorization requests, codes out of hosted logins, the token endpoint. */
import type { Engine } from "../../src/storage/storage.ts";
import {
  addClient,
  addUser,
  basic,
  CALLBACK,
  call,
  createTenant,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "./latchkey.ts";
import { openReceiver, type Receiver } from "./receiver.ts";
import { openSurfer, type Shown } from "./surfer.ts";

export const CHALLENGE = "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM";
export const VERIFIER = "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk";
export const pkce = { code_challenge: CHALLENGE, code_challenge_method: "S256" };

export const answered = (shown: Shown): URLSearchParams => new URL(shown.url).searchParams;

type Fields = Readonly<Record<string, string>>;

export interface StandardClient {
  address(client?: Pick<TestClient, "client_id">, more?: Fields): string;
  /** The address of somebody new. */
  someone(): Promise<string>;
  /** A code for somebody new. */
  codeFor(client?: TestClient, more?: Fields): Promise<string>;
  token(form: Fields, client?: TestClient | null, base?: string): Promise<Reply>;
  redeem(code: string, client?: TestClient, more?: Fields): Promise<Reply>;
}

export function standardClient(latchkey: Latchkey, tenant: Tenant, own: TestClient): StandardClient {
  const standard: StandardClient = {
    address(client = own, more = {}) {
      const about = { client_id: client.client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid" };
      return `${tenant.issuer}/oauth/authorize?${new URLSearchParams({ ...about, ...more })}`;
    },
    someone: async () => (await addUser(latchkey, tenant.account_id)).email,
    async codeFor(client = own, more = {}) {
      const url = standard.address(client, more);
      return answered(await openSurfer(latchkey).logIn(url, tenant, await standard.someone())).get("code") ?? "";
    },
    token: (form, client = own, base = tenant.base) =>
      call(`${base}/oauth/token`, {
        method: "POST",
        ...(client ? { headers: { authorization: basic(client) } } : {}),
        form,
      }),
    redeem: (code, client = own, more = {}) =>
      standard.token({ grant_type: "authorization_code", code, redirect_uri: CALLBACK, ...more }, client),
  };
  return standard;
}

/** A tenant with a client of its own and an address that listens, for tests that are about the standard surface alone. */
export interface Scene extends StandardClient {
  readonly latchkey: Latchkey;
  readonly tenant: Tenant;
  readonly own: TestClient;
  readonly listener: Receiver;
  close(): Promise<void>;
}

export async function openScene(engine: Engine): Promise<Scene> {
  const listener = await openReceiver();
  const latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
  const tenant = await createTenant(latchkey);
  const own = await addClient(latchkey, tenant.account_id, {
    first_party: true,
    grant_types: ["authorization_code", "refresh_token", "client_credentials"],
  });
  const close = async () => {
    await latchkey.close();
    await listener.close();
  };
  return { ...standardClient(latchkey, tenant, own), latchkey, tenant, own, listener, close };
}

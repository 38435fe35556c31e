/** A standard client of a tenant, by hand: authorization requests, codes out of hosted logins, the token endpoint. */
import { addUser, basic, CALLBACK, call, type Latchkey, type Reply, type Tenant, type TestClient } from "./latchkey.ts";
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

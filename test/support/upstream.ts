/**
 * A real OpenID provider of somebody else: node-oidc-provider on a port of its own, whose login is a form that a test fills in.
 */
import { createHash } from "node:crypto";
import type { Server } from "node:http";
import { createServer } from "node:http";
import type { AddressInfo } from "node:net";
import type { Tenant } from "./latchkey.ts";

export interface Upstream {
  readonly issuer: string;
  readonly client_id: string;
  readonly client_secret: string;
  /** Logs `sub` in and returns where the browser would go then. */
  answer(sub: string, parameters: Readonly<Record<string, string>>): Promise<string>;
  /** Logs `sub` in and returns the code that the browser would bring back. */
  logIn(sub: string, parameters?: Readonly<Record<string, string>>): Promise<string>;
  close(): Promise<void>;
}

export interface UpstreamPerson {
  readonly email?: string;
  readonly email_verified?: boolean;
  readonly name?: string;
}

export const UPSTREAM_CALLBACK = "https://shop.example/callback";

/** Where a provider sends the browsers of people who log in on the pages of a tenant. */
export const callbackAt = ({ issuer }: Tenant, provider: string) =>
  `${issuer}/login/upstream/callback/${createHash("sha256").update(provider).digest("base64url")}`;

/** `tenant`: on whose pages people log in; without one it is a client that they come back to. */
export async function openUpstream(
  people: Readonly<Record<string, UpstreamPerson>>,
  tenant?: Tenant,
): Promise<Upstream> {
  const { Provider } = await import("oidc-provider");
  const server: Server = createServer();
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const issuer = `http://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const callback = tenant ? callbackAt(tenant, issuer) : UPSTREAM_CALLBACK;
  const client = { client_id: "latchkey", client_secret: "upstream-secret-of-latchkey" };
  const provider = new Provider(issuer, {
    clients: [{ ...client, redirect_uris: [callback], response_types: ["code"], grant_types: ["authorization_code"] }],
    cookies: { keys: ["a key of this test"] },
    claims: { openid: ["sub"], email: ["email", "email_verified"], profile: ["name"] },
    pkce: { required: () => false },
    features: { devInteractions: { enabled: true } },
    findAccount: (_ctx, sub) => ({ accountId: sub, claims: async () => ({ sub, ...people[sub] }) }),
  });
  server.on("request", provider.callback());
  const answer = async (sub: string, parameters: Readonly<Record<string, string>> = {}): Promise<string> => {
    const jar = new Map<string, string>();
    const visit = async (url: string, form?: Readonly<Record<string, string>>): Promise<Response> => {
      const headers = { cookie: [...jar].map(([name, value]) => `${name}=${value}`).join("; ") };
      const post = form ? { method: "POST", body: new URLSearchParams(form) } : {};
      const response = await fetch(new URL(url, issuer), { headers, redirect: "manual", ...post });
      for (const cookie of response.headers.getSetCookie()) {
        const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(cookie) ?? [];
        jar.set(name, value);
      }
      return response;
    };
    const about = { client_id: client.client_id, response_type: "code", scope: "openid email profile" };
    const query = new URLSearchParams({ ...about, redirect_uri: callback, ...parameters });
    let next = `/auth?${query}`;
    for (let step = 0; step < 12; step++) {
      if (next.startsWith(callback)) return next;
      const response = await visit(next);
      const location = response.headers.get("location");
      if (location) {
        next = location;
        continue;
      }
      const page = await response.text();
      const action = /action="([^"]+)"/.exec(page)?.[1] ?? next;
      const prompt = /name="prompt" value="([^"]+)"/.exec(page)?.[1] ?? "login";
      const answered = await visit(action, prompt === "login" ? { prompt, login: sub, password: "x" } : { prompt });
      next = answered.headers.get("location") ?? "";
      if (next === "") throw new Error(`the upstream login stopped: ${answered.status}`);
    }
    throw new Error("the upstream login goes in circles");
  };
  return {
    issuer,
    ...client,
    answer,
    logIn: async (sub, parameters) => new URL(await answer(sub, parameters)).searchParams.get("code") ?? "",
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

import type { FastifyReply, FastifyRequest } from "fastify";
import { readBrowser } from "../../authentication/sessions/session.ts";
import type { Directory } from "../../directory/directory.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";

/** Seconds; the session behind it ends by itself. */
const MAX_AGE = 31_536_000;

const isSecure = (public_url: string) => public_url.startsWith("https:");

/** `__Host-` ties it to this very host (RFC 6265bis §4.1.3.2); browsers take that over https alone. */
const cookieName = (public_url: string, account_id: string) =>
  `${isSecure(public_url) ? "__Host-" : ""}lk_${account_id}`;

/** Strangers fill this header with whatever they like: it is searched for the name, and not taken to pieces. */
function readCookie({ headers: { cookie = "" } }: Pick<FastifyRequest, "headers">, name: string): string | undefined {
  const named = `${name}=`;
  const values: string[] = [];
  for (let at = cookie.indexOf(named); at >= 0 && values.length < 2; at = cookie.indexOf(named, at + 1)) {
    const before = cookie.slice(0, at).trimEnd();
    if (before !== "" && !before.endsWith(";")) continue;
    const [value = ""] = /^[^;=]*/.exec(cookie.slice(at + named.length)) ?? [];
    values.push(value.trim());
  }
  // Two of one name: somebody else set one of them.
  return values.length === 1 ? values[0] : undefined;
}

export function setCookie(reply: FastifyReply, public_url: string, account_id: string, browser: Secret): void {
  const attributes = `Path=/; Max-Age=${MAX_AGE}; HttpOnly; SameSite=Lax${isSecure(public_url) ? "; Secure" : ""}`;
  reply.header("set-cookie", `${cookieName(public_url, account_id)}=${reveal(browser)}; ${attributes}`);
}

/** The browser that a request comes from, by its cookie for the account of the path; undefined where it brings none. */
export function browserOf(
  request: Pick<FastifyRequest, "account_id" | "headers">,
  { public_url }: Directory,
): Uint8Array | undefined {
  return readBrowser(readCookie(request, cookieName(public_url, request.account_id)));
}

import { isLoopbackUrl } from "../../config.ts";
import { type Fault, refuse } from "../../errors.ts";
import { type Client, isPublic } from "./client.ts";

/** Names that a response adds (RFC 6749 §4.1.2, OpenID Connect Core §3.2.2.5). */
const RESPONSE_PARAMETERS = [
  "code",
  "state",
  "iss",
  "error",
  "error_description",
  "error_uri",
  "id_token",
  "access_token",
  "token_type",
  "expires_in",
  "scope",
];

/**
 * Whether an address may be registered as a callback: https, http on a loopback address, or a private-use scheme with a dot
 * (RFC 8252 §7); no fragment, userinfo or wildcard, and no response parameter in its query.
 *
 * @returns what is wrong with it, or undefined.
 */
export function callbackFault(callback: string): string | undefined {
  if (!URL.canParse(callback) || /[\s\\<>"^`{|}]/.test(callback) || !/^[\x21-\x7e]+$/.test(callback))
    return "is not an absolute address";
  const url = new URL(callback);
  if (callback.includes("#")) return "must not have a fragment";
  if (url.username !== "" || url.password !== "" || /^[a-z][\w+.-]*:\/\/[^/?]*@/i.test(callback))
    return "must not hold a user name or password";
  if (callback.includes("*")) return "must not hold a wildcard";
  const taken = RESPONSE_PARAMETERS.find((name) => url.searchParams.has(name));
  if (taken) return `must not have ${taken} in its query`;
  if (url.protocol === "https:") return undefined;
  if (url.protocol === "http:")
    return isLoopback(url) ? undefined : "must be https, unless it is on a loopback address";
  return /^[a-z][a-z0-9+-]*(\.[a-z0-9+-]+)+:$/.test(url.protocol)
    ? undefined
    : "must be https, or a private-use scheme with a dot";
}

export const isLoopback = ({ href }: URL): boolean => isLoopbackUrl(href);

/** https, or http on a loopback address, without a user name or password: what the one outbound client may ask. */
export function isFetchable(address: string): boolean {
  if (!URL.canParse(address)) return false;
  const url = new URL(address);
  if (url.username !== "" || url.password !== "") return false;
  return url.protocol === "https:" || (url.protocol === "http:" && isLoopback(url));
}

export function callbackFaults(callbacks: readonly string[], name = "callbacks"): Fault[] {
  return callbacks.flatMap((callback, index) => {
    const message = callbackFault(callback);
    return message ? [{ path: `${name}.${index}`, code: "callback", message }] : [];
  });
}

/** A page that takes a link code: https, on the origin of one of the callbacks. */
export function loginUriFault(login_uri: string | null, callbacks: readonly string[]): Fault[] {
  if (login_uri === null) return [];
  const origins = callbacks.flatMap((callback) => (URL.canParse(callback) ? [new URL(callback).origin] : []));
  const ok =
    URL.canParse(login_uri) &&
    new URL(login_uri).protocol === "https:" &&
    !login_uri.includes("#") &&
    origins.includes(new URL(login_uri).origin);
  return ok
    ? []
    : [
        {
          path: "login_uri",
          code: "login_uri",
          message: "must be https, on the origin of a callback, without a fragment",
        },
      ];
}

/**
 * The callback that a request names, compared as exact strings (RFC 9700 §2.1). Only the port of a loopback IP may
 * differ (RFC 8252 §7.3), and that of `localhost` for native clients: public ones, and those that the account did not
 * make and that prove themselves by a key. Without a name: the client's only callback.
 *
 * @throws 400 redirect_uri_required, 400 redirect_uri_mismatch.
 */
export function matchRedirectUri({ origin, settings }: Client, redirect_uri: string | undefined): string {
  const { callbacks } = settings;
  if (redirect_uri === undefined) {
    const [only, ...others] = callbacks;
    if (only === undefined) {
      const message = "The client has no callback: register one, then name it as redirect_uri or leave it out.";
      throw refuse("redirect_uri_required", { message });
    }
    if (others.length > 0) throw refuse("redirect_uri_required");
    return only;
  }
  if (callbacks.includes(redirect_uri)) return redirect_uri;
  const by_key = settings.token_endpoint_auth_method === "private_key_jwt";
  const wanted = withoutLoopbackPort(redirect_uri, isPublic(settings) || (by_key && origin !== "account"));
  if (wanted !== undefined && callbacks.some((callback) => withoutLoopbackPort(callback, true) === wanted))
    return redirect_uri;
  throw refuse("redirect_uri_mismatch");
}

/** Compared as text, so that nothing but digits of the port may differ. @returns undefined when the host is not loopback. */
function withoutLoopbackPort(uri: string, localhost: boolean): string | undefined {
  const [, host, port, rest] =
    /^http:\/\/(127\.0\.0\.1|\[::1\]|localhost)(?::(\d{1,5}))?((?:\/[^#]*)?)$/.exec(uri) ?? [];
  if (host === undefined || (host === "localhost" && !localhost) || Number(port ?? 0) > 65_535) return undefined;
  return `http://${host}${rest ?? ""}`;
}

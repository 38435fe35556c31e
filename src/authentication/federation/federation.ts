/**
 * Logins that another server vouches for: an upstream OpenID provider that a grant names, and the account's own provider of
 * external account users. Nothing it says is believed before its signature, issuer, audience and time are checked.
 *
 * In: a code of the provider, or an ID token. Out: an `AuthenticatedSubject`. People are linked by issuer and `sub`; a first
 * login joins an existing user only by an address that the provider verified and whose domain the grant trusts.
 *
 * OpenID Connect Core §3.1.3, OpenID Connect Discovery §4.
 */
import { type Egress, egressFetch } from "../../egress/egress.ts";
import { refuse } from "../../errors.ts";
import { type Cache, openCache } from "../../storage/cache.ts";

export interface Federation {
  readonly egress: Egress;
  /** Documents of providers and clients, by address. */
  readonly documents: Cache<Readonly<Record<string, unknown>>>;
  /**
   * What was asked for again a moment ago, keys by address and documents of clients by account and client_id, and what
   * came of it.
   */
  readonly renewed: Cache<{ readonly failure?: unknown }>;
}

/** Metadata and keys of a provider are asked for again after so long; milliseconds. */
const KEPT = 300_000;
/** Keys at one address are asked for again no more often than this, whatever unknown keys tokens name; milliseconds. */
const RENEWED = 10_000;

/** All that one login asks of a provider takes no longer; milliseconds. */
export const PATIENCE = 4_500;

/** `monotonic` is any clock that never goes back. */
export function openFederation(egress: Egress, monotonic?: () => number): Federation {
  return { egress, documents: openCache(KEPT, 1_000, monotonic), renewed: openCache(RENEWED, 1_000, monotonic) };
}

/**
 * Runs `verify` with the keys that lie at an address. Their owner may have changed them: when `verify` needs one that
 * is not there, they are asked for again.
 *
 * @throws 400 upstream_login_failed when they cannot be had, and what `verify` throws: JWKSNoMatchingKey where there is
 *   no such key.
 */
export async function withKeysAt<T>(
  federation: Federation,
  url: string,
  signal: AbortSignal,
  verify: (keys: Readonly<Record<string, unknown>>) => Promise<T>,
): Promise<T> {
  try {
    return await verify(await fetchDocument(federation, url, signal));
  } catch (error) {
    if ((error as { code?: unknown }).code !== "ERR_JWKS_NO_MATCHING_KEY") throw error;
    await renew(federation, url, signal);
    return verify(await fetchDocument(federation, url, signal));
  }
}

/** While they cannot be had, those that are known stay. @throws 400 upstream_login_failed. */
async function renew({ egress, documents, renewed }: Federation, url: string, signal: AbortSignal): Promise<void> {
  const renewal = await renewed.get(url, async () => {
    try {
      const document = await loadDocument(egress, url, signal);
      documents.forget(url);
      await documents.get(url, async () => document);
      return {};
    } catch (failure) {
      // Who had no time left says nothing about the address.
      if (signal.aborted) throw failure;
      return { failure };
    }
  });
  if (renewal?.failure !== undefined) throw renewal.failure;
}

/** A JSON object by GET, kept for a while. @throws 400 upstream_login_failed. */
export async function fetchDocument(
  { egress, documents }: Federation,
  url: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  return (await documents.get(url, () => loadDocument(egress, url, signal))) ?? {};
}

async function loadDocument(egress: Egress, url: string, signal: AbortSignal) {
  const { status, body } = await ask(egress, { url, method: "GET", headers: { accept: "application/json" }, signal });
  if (status !== 200) throw upstreamFailed(`${hostOf(url)} answered ${status} for its metadata or keys`);
  return readObject(body, hostOf(url));
}

/** A JSON array of texts by GET. @throws 400 upstream_login_failed. */
export async function fetchList({ egress }: Federation, url: string): Promise<readonly string[]> {
  const { status, body } = await ask(egress, { url, method: "GET", headers: { accept: "application/json" } });
  try {
    const list: unknown = status === 200 ? JSON.parse(body) : undefined;
    if (Array.isArray(list)) return list.map(String);
  } catch {}
  throw upstreamFailed(`${hostOf(url)} answered no list`);
}

/** @throws 400 upstream_login_failed when it does not answer. */
export async function ask(egress: Egress, request: Parameters<typeof egressFetch>[1]) {
  try {
    return await egressFetch(egress, request);
  } catch (cause) {
    throw upstreamFailed(`${hostOf(request.url)} cannot be reached: ${(cause as Error).message}`, cause);
  }
}

/** @throws 400 upstream_login_failed. */
export function readObject(text: string, host: string): Readonly<Record<string, unknown>> {
  try {
    const value: unknown = JSON.parse(text);
    if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  } catch {}
  throw upstreamFailed(`${host} answered something that is no JSON object`);
}

export const hostOf = (url: string) => (URL.canParse(url) ? new URL(url).host : "an address that is none");

/** `detail` goes to the log and the audit trail: why, without values that came in a token. */
export function upstreamFailed(why: string, cause?: unknown, detail = why) {
  return refuse("upstream_login_failed", { message: `${why}.`, detail, ...(cause === undefined ? {} : { cause }) });
}

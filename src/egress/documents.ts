/**
 * What other servers publish: metadata of providers and of clients, keys, lists. Asked for by GET through the one
 * outbound client, and kept for a while.
 *
 * In: an address. Out: a document as it was sent, whose reader checks what it says; or 400 upstream_login_failed, which
 * some endpoints say in words of their own, `momentary` where there was no answer that says anything.
 */
import { type ErrorCode, Refusal, refuse } from "../errors.ts";
import { type BoundedMap, openBoundedMap } from "../storage/bounded-map.ts";
import { type Cache, openCache } from "../storage/cache.ts";
import { type Egress, egressFetch, Unfit, within } from "./egress.ts";

export interface Documents {
  readonly egress: Egress;
  /** By address, as text: read, a document may be twenty times as large. */
  readonly kept: Cache<string>;
  /**
   * What was asked for again a moment ago, keys by address and documents of clients by account and client_id, and what
   * came of it.
   */
  readonly renewed: Cache<{ readonly failure?: unknown }>;
  /** By address, why it could not be had a moment ago: until then nobody asks there again. */
  readonly failed: BoundedMap<{ readonly failure: Refusal; readonly until: number }>;
  /** Milliseconds of a clock that never goes back. */
  readonly monotonic: () => number;
}

/** Metadata and keys are asked for again after so long; milliseconds. */
const KEPT = 300_000;
/** What lies at one address is asked for again no more often than this, whatever signatures tokens bear; milliseconds. */
const RENEWED = 10_000;
/** What failed is not asked for again before `RENEWED` either, or before this where it may be well in a moment; milliseconds. */
const MOMENT = 2_000;

/** How JOSE says that keys may have been changed: a key without `kid` (RFC 7517 §4.5) is simply another one then. */
const OUTDATED: readonly unknown[] = ["ERR_JWKS_NO_MATCHING_KEY", "ERR_JWS_SIGNATURE_VERIFICATION_FAILED"];

/** All that one login asks of another server takes no longer; milliseconds. */
export const PATIENCE = 4_500;

export function openDocuments(egress: Egress, monotonic: () => number = () => performance.now()): Documents {
  const kept = openCache<string>({ sizeOf: ({ length }) => length, ttl: KEPT, limit: 1_000, monotonic });
  const renewed: Documents["renewed"] = openCache({ ttl: RENEWED, limit: 1_000, monotonic });
  return { egress, kept, renewed, failed: openBoundedMap(1_000), monotonic };
}

/**
 * Runs `verify` with the keys that lie at an address. Their owner may have changed them: when `verify` needs one that
 * is not there, or finds a signature to be of none of them, they are asked for again.
 *
 * @throws 400 upstream_login_failed when they cannot be had, and what `verify` throws: JWKSNoMatchingKey where there is
 *   no such key.
 */
export async function withKeysAt<T>(
  documents: Documents,
  url: string,
  signal: AbortSignal,
  verify: (keys: Readonly<Record<string, unknown>>) => Promise<T>,
): Promise<T> {
  try {
    return await verify(await fetchDocument(documents, url, signal));
  } catch (error) {
    if (!OUTDATED.includes((error as { code?: unknown }).code)) throw error;
    await renew(documents, url, signal);
    return verify(await fetchDocument(documents, url, signal));
  }
}

/** While they cannot be had, those that are known stay. @throws 400 upstream_login_failed. */
async function renew(documents: Documents, url: string, signal: AbortSignal): Promise<void> {
  const { kept, renewed } = documents;
  const renewing = renewed.get(url, async () => {
    const text = await loadDocument(documents, url);
    kept.forget(url);
    await kept.get(url, async () => text);
    return {};
  });
  await whileThereIsTime(url, signal, renewing);
}

/** A JSON object by GET, kept for a while. @throws 400 upstream_login_failed. */
export async function fetchDocument(
  documents: Documents,
  url: string,
  signal: AbortSignal,
): Promise<Readonly<Record<string, unknown>>> {
  const loading = documents.kept.get(url, () => loadDocument(documents, url));
  const text = await whileThereIsTime(url, signal, loading);
  return readObject(text ?? "{}", hostOf(url));
}

/** Who has no time left leaves the others that wait for the same. @throws 400 upstream_login_failed. */
async function whileThereIsTime<T>(url: string, signal: AbortSignal, loading: Promise<T>): Promise<T> {
  try {
    return await within(signal, hostOf(url), loading);
  } catch (failure) {
    throw failure instanceof Refusal ? failure : unreached(hostOf(url), failure as Error);
  }
}

/**
 * For everybody who asks for it meanwhile, in nobody's time but that of `egressFetch`.
 *
 * @returns the text of a JSON object. @throws 400 upstream_login_failed, also where it failed a moment ago.
 */
async function loadDocument({ egress, failed, monotonic }: Documents, url: string): Promise<string> {
  const known = failed.get(url);
  if (known && monotonic() < known.until) throw known.failure;
  try {
    return await askForDocument(egress, url);
  } catch (failure) {
    if (failure instanceof Refusal) {
      const until = monotonic() + (failure.options.momentary ? MOMENT : RENEWED);
      failed.set(url, { failure, until }, 0);
    }
    throw failure;
  }
}

async function askForDocument(egress: Egress, url: string): Promise<string> {
  const { status, body } = await ask(egress, { url, method: "GET", headers: { accept: "application/json" } });
  const why = `${hostOf(url)} answered ${status} for its metadata or keys`;
  if (isMomentary(status)) throw outOfReach(why);
  if (status !== 200) throw upstreamFailed(why);
  readObject(body, hostOf(url));
  return body;
}

/** A JSON array of texts by GET. @throws 400 upstream_login_failed. */
export async function fetchList({ egress }: Documents, url: string): Promise<readonly string[]> {
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
    throw unreached(hostOf(request.url), cause as Error & { readonly code?: string });
  }
}

/**
 * Where a stranger named the address, the reason would tell them what lies in the network behind, and whether a name there
 * exists: `bare` goes without, and no name is as bad as one that may not be reached.
 */
function unreached(host: string, cause: Error & { readonly code?: string }): Refusal {
  const bare = `${host} cannot be reached`;
  const why = `${bare}: ${cause.message}`;
  const lasts = cause instanceof Unfit || cause.code === "ENOTFOUND";
  const { code, options } = lasts ? upstreamFailed(why, cause) : outOfReach(why, cause);
  return refuse(code, { ...options, bare: `${bare}.` });
}

/** Whether a server with this status says nothing about what it was asked for, and may in a moment. */
export const isMomentary = (status: number) => status === 429 || status >= 500;

function outOfReach(why: string, cause?: unknown): Refusal {
  const { code, options } = upstreamFailed(why, cause);
  return refuse(code, { ...options, momentary: true });
}

/**
 * What a client is told when an address that it named is in its way: this code, or client_unreachable where the server
 * there has said nothing, so that nobody knows what the client is. Anybody may have named it. `about` comes before the
 * sentence.
 */
export function blame(code: ErrorCode, error: Refusal, about = ""): Refusal {
  const message = `${about}${error.options.bare ?? error.message}`;
  if (error.options.momentary)
    return refuse("client_unreachable", { message, cause: error, retry_after: RENEWED / 1000 });
  return code === error.code ? error : refuse(code, { message, cause: error });
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

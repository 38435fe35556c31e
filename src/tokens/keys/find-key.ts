import type { SigningAlg } from "../../secrets/signing-alg.ts";
import { instant } from "../../storage/storage.ts";
import type { KeyReading, Tokens } from "../tokens.ts";
import { type Jwk, makeKeyInTurn, openKey, type SigningKey, timesOf } from "./key.ts";
import { insertKey, lockAccount, type StoredKey, selectKeys } from "./store.ts";

const OPENED_LIMIT = 5_000;

/** Every key of the account that signs, will sign or still verifies; at most 5 s old. */
export async function keysOf(tokens: Tokens, account_id: string): Promise<readonly SigningKey[]> {
  return (await tokens.keys.get(account_id, () => loadKeys(tokens, account_id))) ?? [];
}

/** The same, for who misses one among them: another process may have made it since, and it may sign at once. */
export async function reloadKeys(tokens: Tokens, account_id: string): Promise<readonly SigningKey[]> {
  return (await tokens.keys.reload(account_id, () => loadKeys(tokens, account_id))) ?? [];
}

/** The account's key of this name, as keysOf knows it or as another process has just made it. */
export async function keyNamed(tokens: Tokens, account_id: string, kid: string): Promise<SigningKey | undefined> {
  const named = (key: SigningKey) => key.kid === kid;
  return (await keysOf(tokens, account_id)).find(named) ?? (await reloadKeys(tokens, account_id)).find(named);
}

async function loadKeys(tokens: Tokens, account_id: string): Promise<readonly SigningKey[] | undefined> {
  const rows = await selectKeys(tokens.storage.read, account_id, instant(tokens.storage.now()));
  return rows.length > 0 ? rows.map((row) => opened(tokens, row)) : undefined;
}

function opened(tokens: Tokens, row: StoredKey): SigningKey {
  const name = `${row.account_id} ${row.kid}`;
  const known = tokens.opened.get(name) ?? openKey(tokens.master_keys, row);
  if (tokens.opened.size >= OPENED_LIMIT) tokens.opened.clear();
  tokens.opened.set(name, known);
  return { ...known, ...timesOf(row) };
}

/**
 * The key that signs at `now` (milliseconds): the youngest active one; where the clock was set back to before all of them,
 * the first. Made on the spot when the account has none.
 */
export async function signingKey(
  tokens: Tokens,
  account_id: string,
  alg: SigningAlg,
  now: number,
): Promise<SigningKey> {
  const found = signing(await keysOf(tokens, account_id), alg, now);
  if (found) return found;
  await firstKey(tokens, account_id, alg, now);
  const created = signing(await keysOf(tokens, account_id), alg, now);
  if (!created) throw new Error(`no ${alg} key could be made for ${account_id}`);
  return created;
}

/**
 * The same, of the keys as committed: for what is lost where it is signed by a key that another process has just given up.
 * It reads each time.
 */
export async function committedSigningKey(
  tokens: Tokens,
  account_id: string,
  alg: SigningAlg,
  now: number,
): Promise<SigningKey> {
  return signing(await committedKeys(tokens, account_id), alg, now) ?? signingKey(tokens, account_id, alg, now);
}

/** Makes what an account signs with: keys of its own algorithm, and of RS256 for ID tokens. */
export async function readyKeys(tokens: Tokens, account_id: string, own: SigningAlg, now: number): Promise<void> {
  for (const alg of new Set(["RS256", own] as const)) await signingKey(tokens, account_id, alg, now);
}

/** Pure: as `signingKey`, of these. */
export function signing(keys: readonly SigningKey[], alg: SigningAlg, now: number): SigningKey | undefined {
  const standing = keys.filter((key) => key.alg === alg && key.retired_at > now);
  return standing.findLast((key) => key.active_at <= now) ?? standing[0];
}

/** Made once in this process, whoever asks meanwhile: an RSA key takes a tenth of a second of a core, and threads that sign. */
function firstKey(tokens: Tokens, account_id: string, alg: SigningAlg, now: number): Promise<void> {
  const name = `${account_id} ${alg}`;
  const under_way = tokens.first_keys.get(name);
  if (under_way !== undefined) return under_way;
  const made = createFirstKey(tokens, account_id, alg, now).finally(() => {
    tokens.keys.forget(account_id);
    tokens.first_keys.delete(name);
  });
  tokens.first_keys.set(name, made);
  return made;
}

/** One key, whoever asks at the same time on whatever process. */
async function createFirstKey(tokens: Tokens, account_id: string, alg: SigningAlg, now: number): Promise<void> {
  const at = instant(now);
  const times = { created_at: at, active_at: at, retired_at: null, expires_at: null };
  const made = await makeKeyInTurn(tokens, account_id, alg, times);
  await tokens.storage.write(async ({ db }) => {
    await lockAccount(db, account_id);
    const keys = await selectKeys(db, account_id, at);
    if (!keys.some((key) => key.alg === alg && key.retired_at === null)) await insertKey(db, made);
  });
}

/**
 * What verifiers need, RSA first, because some read nothing else. As committed: another process may sign by a key that
 * it has just made, and who misses it here does not ask again for half a minute.
 */
export async function publishedKeys(tokens: Tokens, account_id: string): Promise<readonly Jwk[]> {
  const keys = (await committedKeys(tokens, account_id)).map(({ public_jwk }) => public_jwk);
  return keys.toSorted((a, b) => Number(b.kty === "RSA") - Number(a.kty === "RSA"));
}

/** As committed. One reading of an account at a time, as anybody may ask: whoever comes while one is under way shares the next. */
export function committedKeys(tokens: Tokens, account_id: string): Promise<readonly SigningKey[]> {
  const { publishing } = tokens;
  const last = publishing.get(account_id);
  if (last && !last.begun) return last.keys;
  const read = async () => {
    await last?.keys.catch(() => {});
    reading.begun = true;
    return (await loadKeys(tokens, account_id)) ?? [];
  };
  const ended = () => {
    if (publishing.get(account_id) === reading) publishing.delete(account_id);
  };
  const reading: KeyReading = { begun: false, keys: Promise.resolve().then(read).finally(ended) };
  publishing.set(account_id, reading);
  return reading.keys;
}

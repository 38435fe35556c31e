import type { RequestFacts } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { actorFrom } from "../../directory/actor.ts";
import type { Client } from "../../directory/clients/client.ts";
import { checkSecretStands } from "../../directory/clients/secret.ts";
import type { Directory } from "../../directory/directory.ts";
import { by_reuse } from "../../directory/revoke.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { type Refusal, refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { boundTo, digestOf, holderOf, type ReadToken, readRefreshToken, refreshToken } from "./family.ts";
import { revokeFamily } from "./revoke-family.ts";
import { type Continued, type Rotation, rotateStatement } from "./rotate-statement.ts";
import { type Spent, selectFamily, updateGrace, updateUnspent } from "./store.ts";

export interface Rotated extends Continued {
  readonly refresh_token: Secret;
  /** Undefined where nothing was: the same token goes on. */
  readonly spent?: Spent;
}

/** A refresh token and who shows it. */
export interface Shown {
  readonly client: Client & { readonly secret_id?: string };
  readonly token: Secret;
  /** It may use tokens of other clients' logins. */
  readonly others: boolean;
  /** The next token is another one. */
  readonly rotates: boolean;
  /** Of a DPoP key, where the request shows one. */
  readonly proof?: { readonly jkt: string; spend(): Promise<void> } | undefined;
  readonly facts: RequestFacts;
}

/** A token that was just rotated is answered once more so long, because the answer may have been lost; milliseconds. */
const GRACE = 10_000;

/**
 * Spends a refresh token and derives its successor, or lets the same one go on, in one statement that also checks that
 * client, grant and user live. A second use of one that was spent, or use by another client than its holder, ends the
 * family. `now` in milliseconds.
 *
 * @throws 400 invalid_grant; 401 invalid_client when its secret ended meanwhile, 403 unauthorized_client for another
 *   client's login where it may use none: the token is as good as it was.
 */
export async function rotateRefreshToken(
  directory: Directory,
  { account_id, settings }: Account,
  shown: Shown,
  now: number,
): Promise<Rotated> {
  const { client, token, others, rotates, proof } = shown;
  const { storage, master_keys } = directory;
  const read = readRefreshToken(master_keys, account_id, token);
  if (!read) throw invalid();
  await proof?.spend();
  const { family_id: id, generation, key_version, digest } = read;
  const generations = rotates ? 1 : 0;
  const next_key_version = rotates ? master_keys.current : key_version;
  const next = { account_id, id, generation: generation + generations, key_version: next_key_version };
  const refresh_token = refreshToken(master_keys, next);
  const rotation: Rotation = {
    account_id,
    id,
    client_id: client.id,
    secret_id: client.secret_id ?? "",
    of_others: others ? "1" : "",
    dpop_jkt: proof?.jkt ?? null,
    bind_jkt: boundTo(client, proof?.jkt),
    generation,
    generations,
    digest,
    next_digest: digestOf(refresh_token),
    next_key_version,
    now: instant(now),
    idle_expires_at: instant(now + settings.refresh_idle_lifetime * 1000),
  };
  const continued = await storage.hot(rotateStatement, rotation);
  if (!continued) return answerAgain(directory, account_id, shown, read, now);
  return { ...continued, refresh_token, ...(rotates ? { spent: spentBy(account_id, read, false) } : {}) };
}

const spentBy = (
  account_id: string,
  { family_id: id, generation, key_version, digest }: ReadToken,
  again: boolean,
): Spent => ({ account_id, id, generation, key_version, digest, again });

/**
 * For whoever was refused after all, and got no successor: the token is the login's newest again, unless somebody else was
 * answered meanwhile. What came before it is used as ever.
 */
export const unspend = ({ storage }: Directory, spent: Spent): Promise<void> =>
  storage.write((tx) => updateUnspent(tx.db, spent));

/** The lost answer once more, or what a used, foreign or dead token deserves. */
async function answerAgain(
  directory: Directory,
  account_id: string,
  { client, others, proof, facts }: Shown,
  read: ReadToken,
  now: number,
): Promise<Rotated> {
  const { storage, master_keys } = directory;
  const { family_id: id, generation } = read;
  if (!others && (await selectFamily(storage.read, account_id, id))?.holder_id === client.id)
    throw refuse("unauthorized_client", {
      message: "The client's grant for the account API no longer lets it refresh logins of other clients.",
    });
  const who = { client_id: client.id, secret_id: client.secret_id ?? "", dpop_jkt: proof?.jkt ?? null };
  const grace = { account_id, id, ...who, generation, now: instant(now), since: instant(now - GRACE) };
  const family = await storage.write((tx) => updateGrace(tx.db, grace));
  const person = family && (await lookUpUser(directory, account_id, family.user_id));
  if (person) {
    const spent = spentBy(account_id, read, true);
    return { login: family, person, refresh_token: refreshToken(master_keys, family), spent };
  }
  const found = await selectFamily(storage.read, account_id, id);
  const stolen = found && found.revoked_at === null && (found.generation > generation || holderOf(found) !== client.id);
  if (stolen) await revokeFamily(directory, found, { actor: actorFrom(client.id, facts), facts: by_reuse });
  else await checkSecretStands(directory, client);
  throw invalid();
}

function invalid(): Refusal {
  return refuse("invalid_grant", { message: "The refresh token is not valid: it was used, revoked or has expired." });
}

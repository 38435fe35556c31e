import { randomBytes } from "node:crypto";
import { checkClientSettings, checkSettingsLength } from "../../directory/clients/check-settings.ts";
import { type CreatedClient, createClient } from "../../directory/clients/create-client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { judgeAccount } from "../../directory/judge.ts";
import { refuse } from "../../errors.ts";
import { spendBudgets } from "../../limits/limits.ts";
import { sourceCharges } from "../../limits/source.ts";
import { base64url } from "../../secrets/digest.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { checkSector } from "./check-sector.ts";
import { type ClientMetadata, settingsOf, settingsOfStranger, withoutSecret } from "./client-metadata.ts";
import { KEPT, tokenDigest } from "./registration.ts";
import { inRegistrationTerms } from "./registration-terms.ts";
import { ANY_ROOM, findRoom, type MakeRoom } from "./room.ts";
import { upsertRegistration } from "./store.ts";

export interface Registered extends CreatedClient {
  /** For RFC 7592. */
  readonly registration_access_token: Secret;
}

/**
 * A client registers itself (RFC 7591 §3). Without a token only where the account lets it, without a secret, and only
 * so often from one address.
 *
 * @throws 400 invalid_redirect_uri, invalid_client_metadata; 401 invalid_token; 429 too_many_requests.
 */
export async function registerClient(
  oauth: Oauth,
  account_id: string,
  metadata: ClientMetadata,
  { allowed, actor, source }: { readonly allowed: boolean; readonly actor: Actor; readonly source: string },
): Promise<Registered> {
  const { directory } = oauth;
  const { storage } = directory;
  await judgeAccount(directory, account_id, ({ settings: { open_registration } }) => {
    if (allowed || open_registration) return;
    const headers = { "www-authenticate": 'Bearer realm="latchkey"' };
    throw refuse("invalid_token", { message: "Clients register here with an initial access token.", headers });
  });
  const settings = allowed ? settingsOf(metadata, "client_secret_basic") : settingsOfStranger(withoutSecret(metadata));
  // Before it is counted: what is refused for itself uses up nothing that others share.
  await inRegistrationTerms(async () => {
    checkClientSettings(settings);
    checkSettingsLength(settings);
  });
  if (!allowed) await chargeNewClient(directory, account_id, source);
  await checkSector(oauth.documents, settings);
  const room = allowed ? ANY_ROOM : await findRoom(directory, account_id, "dynamic");
  const registration_access_token = secret(base64url(randomBytes(32)));
  const now = storage.now();
  const times = { fresh_until: null, used_at: instant(now), expires_at: instant(now + KEPT) };
  const row = { account_id, token_digest: tokenDigest(registration_access_token), ...times };
  const input = { name: metadata.client_name, settings, origin: "dynamic" as const, untried: !allowed };
  const create = (makeRoom: MakeRoom) => {
    const within = async (tx: Transaction, client_id: string) => {
      await makeRoom(tx);
      await upsertRegistration(tx.db, { ...row, client_id });
    };
    return createClient(directory, account_id, { ...input, within }, actor);
  };
  const created = await inRegistrationTerms(() => room(create));
  return { ...created, registration_access_token };
}

/** @throws 429 too_many_requests. */
export async function chargeNewClient(
  { storage, master_keys }: Directory,
  account_id: string,
  source: string,
): Promise<void> {
  const charges = sourceCharges(master_keys, account_id, source, ["client_source", "client_site"]);
  await spendBudgets(storage, charges, storage.now());
}

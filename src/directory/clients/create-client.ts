import { recordDeed } from "../../audit/audit.ts";
import { refuseField } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { checkClientId, checkClientSettings, checkSettingsLength } from "./check-settings.ts";
import { type Client, isPublic } from "./client.ts";
import { adoptSecret, mintSecret } from "./secret.ts";
import type { ClientSettings } from "./settings.ts";
import { insertClient, insertSecret, type NewSecret } from "./store.ts";

export interface NewClient {
  /** One that it has already, from elsewhere; else one is made. */
  readonly id?: string | undefined;
  /** Omitted: the client's uuid. */
  readonly client_id?: string | undefined;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly settings: Partial<ClientSettings>;
  /** Default: the account makes it. */
  readonly origin?: Client["origin"];
  /** A stranger's: it may give way to others, see `untried.ts`. */
  readonly untried?: boolean;
  /** One that it has already, from elsewhere; else one is made for whoever authenticates by a secret. */
  readonly client_secret?: Secret | undefined;
  /** What else begins with the client (its uuid), in the same transaction, before it is there. */
  readonly within?: ((tx: Transaction, id: string) => Promise<void>) | undefined;
}

export interface CreatedClient {
  readonly client: Client;
  /** Shown once; a public client has none, nor has one that proves itself by a key. */
  readonly client_secret: Secret | null;
}

/** @throws 400 invalid_request. */
export async function createClient(
  directory: Directory,
  account_id: string,
  input: NewClient,
  actor: Actor,
): Promise<CreatedClient> {
  checkClientSettings(input.settings);
  checkSettingsLength(input.settings);
  const now = directory.storage.now();
  const id = input.id ?? uuidv7(now);
  if (input.client_id !== undefined && input.origin !== "metadata") checkClientId(input.client_id);
  const minted = await secretOf(account_id, id, input, now);
  const named = { ...input, account_id, id, secret: minted?.row };
  const client = await directory.storage.write(async (tx) => {
    await input.within?.(tx, id);
    return createClientIn(tx, named, actor, now);
  });
  directory.staff_clients.forget(account_id);
  return { client, client_secret: minted?.client_secret ?? null };
}

export interface NamedClient extends Omit<NewClient, "client_secret" | "within"> {
  readonly account_id: string;
  readonly id: string;
  /** A public client has none. */
  readonly secret?: NewSecret | undefined;
}

/**
 * Part of a transaction, of a client whose client_id and settings were checked.
 *
 * @throws 400 invalid_request when the client_id is taken.
 */
export async function createClientIn(tx: Transaction, input: NamedClient, actor: Actor, now: number): Promise<Client> {
  const { account_id, id, client_id = id, settings, secret } = input;
  const { name = null, description = null, origin = "account" } = input;
  const created_at = instant(now);
  const untried_since = input.untried ? created_at : null;
  const made = { created_at, created_by: actor.id };
  const row = { account_id, id, client_id, name, description, settings, origin, untried_since, ...made };
  const client = await insertClient(tx.db, row);
  if (!client) throw takenClientId();
  if (secret) await insertSecret(tx.db, secret);
  await recordDeed(tx, { account_id, action: "client.created", entity: id, now: created_at, actor });
  return client;
}

export const takenClientId = () => refuseField("client_id", "taken", "is taken");

async function secretOf(account_id: string, id: string, { settings, client_secret }: NewClient, now: number) {
  if (isPublic(settings)) return null;
  if (client_secret) return adoptSecret(account_id, id, client_secret, now);
  return settings.token_endpoint_auth_method === "private_key_jwt" ? null : mintSecret(account_id, id, now);
}

import { recordDeed } from "../../audit/audit.ts";
import { refuseField } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { checkClientId, checkSettings } from "./check-settings.ts";
import { type Client, isPublic } from "./client.ts";
import { findClientById } from "./find-client.ts";
import { adoptSecret, mintSecret } from "./secret.ts";
import type { ClientSettings } from "./settings.ts";
import { insertClient, insertSecret } from "./store.ts";

export interface NewClient {
  /** Omitted: the client's uuid. */
  readonly client_id?: string | undefined;
  readonly name?: string | undefined;
  readonly description?: string | undefined;
  readonly settings: Partial<ClientSettings>;
  /** Default: the account makes it. */
  readonly origin?: Client["origin"];
  /** One that it has already, from elsewhere; else one is made. */
  readonly client_secret?: Secret | undefined;
}

export interface CreatedClient {
  readonly client: Client;
  /** Shown once; a public client has none. */
  readonly client_secret: Secret | null;
}

/** @throws 400 invalid_request. */
export async function createClient(
  directory: Directory,
  account_id: string,
  input: NewClient,
  actor: Actor,
): Promise<CreatedClient> {
  checkSettings(input.settings);
  const now = directory.storage.now();
  const id = uuidv7(now);
  const client_id = input.client_id ?? id;
  const { origin = "account" } = input;
  if (input.client_id !== undefined && origin !== "metadata") checkClientId(input.client_id);
  const created_at = instant(now);
  const minted = await secretOf(account_id, id, input, now);
  const { name = null, description = null, settings } = input;
  const row = { account_id, id, client_id, name, description, settings, origin, created_at, created_by: actor.id };
  const created = await directory.storage.write(async (tx) => {
    if (!(await insertClient(tx.db, row))) return false;
    if (minted) await insertSecret(tx.db, minted.row);
    await recordDeed(tx, { account_id, action: "client.created", entity: id, now: created_at, actor });
    return true;
  });
  if (!created) throw refuseField("client_id", "taken", "is taken");
  return { client: await findClientById(directory, account_id, id), client_secret: minted?.client_secret ?? null };
}

async function secretOf(account_id: string, id: string, { settings, client_secret }: NewClient, now: number) {
  if (isPublic(settings)) return null;
  return client_secret ? adoptSecret(account_id, id, client_secret, now) : mintSecret(account_id, id, now);
}

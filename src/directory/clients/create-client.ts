import { recordDeed } from "../../audit/audit.ts";
import { type Fault, noSuch, refuseField } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant } from "../../storage/storage.ts";
import type { Actor, Directory } from "../directory.ts";
import { originFaults } from "./allowed-origins.ts";
import { callbackFaults, isLoopback, loginUriFault } from "./callback.ts";
import { type Client, isPublic } from "./client.ts";
import { findClientById } from "./find-client.ts";
import { adoptSecret, mintSecret } from "./secret.ts";
import { sectorFaults } from "./sector.ts";
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

const UUID = /^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i;

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

/** A name that somebody chose. @throws 400 invalid_request. */
export function checkClientId(client_id: string): void {
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(client_id)) {
    throw refuseField("client_id", "pattern", "takes 1 to 64 letters, digits and . _ ~ -");
  }
  if (UUID.test(client_id)) throw refuseField("client_id", "pattern", "must not have the form of a uuid");
}

/** Addresses that we ask: https; what may be asked at all, the one client for outgoing requests says. */
function addressFaults(settings: Partial<ClientSettings>): Fault[] {
  return (["jwks_uri", "backchannel_logout_uri"] as const).flatMap((path) => {
    const address = settings[path] ?? null;
    if (address === null) return [];
    const url = URL.canParse(address) ? new URL(address) : undefined;
    const good = url?.protocol === "https:" || (url?.protocol === "http:" && isLoopback(url));
    return good && !address.includes("#")
      ? []
      : [{ path, code: "https", message: "must be https, without a fragment" }];
  });
}

/** What a schema cannot say about a client's settings. @throws 400 invalid_request with every fault. */
export function checkSettings(settings: Partial<ClientSettings>): void {
  const { callbacks = [], login_uri = null } = settings;
  const { post_logout_redirect_uris = [] } = settings;
  const faults = [
    ...callbackFaults(callbacks),
    ...callbackFaults(post_logout_redirect_uris, "post_logout_redirect_uris"),
    ...addressFaults(settings),
    ...loginUriFault(login_uri, callbacks),
    ...sectorFaults(settings),
    ...originFaults(settings.allowed_origins ?? []),
  ];
  if (faults.length > 0) throw malformed(faults);
}

/** The room of verification codes without a server around it: what it stands on, and whoever asks. */
import { afterAll, beforeAll } from "vitest";
import type { Authentication } from "../../src/authentication/authentication.ts";
import type { Account } from "../../src/directory/accounts/account.ts";
import { type AccountSettings, accountSettings } from "../../src/directory/accounts/settings.ts";
import type { Client } from "../../src/directory/clients/client.ts";
import { type ClientSettings, clientSettings } from "../../src/directory/clients/settings.ts";
import { openDirectory } from "../../src/directory/directory.ts";
import type { Refusal } from "../../src/errors.ts";
import type { Revocations } from "../../src/revocation/revocation.ts";
import type { MasterKeys } from "../../src/secrets/master-keys.ts";
import type { Engine, Storage } from "../../src/storage/storage.ts";
import { openTestStorage } from "./engines.ts";
import { type Login, test_keys } from "./verification.ts";

export const public_url = "http://localhost:8080";

export interface Room extends Authentication {
  /** What it asked to revoke, as `account subject`. */
  readonly revoked: string[];
  /** How often it said that there is something to send. */
  nudges(): number;
}

export function openRoom(storage: Storage, master_keys: MasterKeys = test_keys): Room {
  const revoked: string[] = [];
  let nudges = 0;
  const revocations: Revocations = {
    record: async (_tx, account_id, subjects) => void revoked.push(...subjects.map((one) => `${account_id} ${one}`)),
    async endLogins() {},
    endOlder: async () => true,
    checkAlive() {},
    knows: () => false,
    isFresh: () => true,
    async stop() {},
  };
  return {
    directory: openDirectory({ storage, master_keys, revocations, public_url }),
    nudge: () => {
      nudges += 1;
    },
    revoked,
    nudges: () => nudges,
  };
}

export interface Ground {
  readonly storage: Storage;
  readonly room: Room;
  /** When it was opened. */
  readonly now: number;
}

/** A room on a database of the suite's own, from before its first test until after its last. */
export function onGround(engine: Engine, use: (ground: Ground) => void | Promise<void>): void {
  let close = async () => {};
  beforeAll(async () => {
    const test = await openTestStorage(engine);
    close = test.close;
    const { storage } = test;
    await use({ storage, room: openRoom(storage), now: storage.now() });
  });
  afterAll(() => close());
}

const made = { name: "The Shop", created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-01-01T00:00:00.000Z" };

export function accountOf({ account_id }: Login, settings: Partial<AccountSettings> = {}): Account {
  return { ...made, account_id, settings: accountSettings(settings) };
}

export function clientOf({ account_id, client_id }: Login, settings: Partial<ClientSettings> = {}): Client {
  const nobody = { description: null, created_by: null, deleted_at: null, deleted_by: null };
  return {
    ...made,
    ...nobody,
    account_id,
    id: client_id,
    client_id,
    settings: clientSettings(settings),
    origin: "account",
    set_by_account: [],
    untried_since: null,
  };
}

/** What something was refused with; empty when it was not. */
export async function refusalOf(work: Promise<unknown>): Promise<Partial<Refusal>> {
  try {
    await work;
    return {};
  } catch (error) {
    return error as Refusal;
  }
}

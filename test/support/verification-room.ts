/** The room of verification codes without a server around it: what is handed in, and whoever asks. */
import { openVerification, type Verification } from "../../src/authentication/verification/verification.ts";
import type { Account } from "../../src/directory/accounts/account.ts";
import { type AccountSettings, accountSettings } from "../../src/directory/accounts/settings.ts";
import type { Client } from "../../src/directory/clients/client.ts";
import { type ClientSettings, clientSettings } from "../../src/directory/clients/settings.ts";
import { canonicalAudience } from "../../src/directory/grants/audience.ts";
import { signUpUser } from "../../src/directory/users/sign-up.ts";
import type { Refusal } from "../../src/errors.ts";
import type { MasterKeys } from "../../src/secrets/master-keys.ts";
import type { Storage } from "../../src/storage/storage.ts";
import { type Login, test_keys } from "./verification.ts";

export const public_url = "http://localhost:8080";

export interface Room {
  readonly verification: Verification;
  /** What it asked to revoke, as `account subject`. */
  readonly revoked: string[];
  /** How often it said that there is something to send. */
  nudges(): number;
}

export function openRoom(storage: Storage, master_keys: MasterKeys = test_keys): Room {
  const revoked: string[] = [];
  let nudges = 0;
  const verification = openVerification({
    storage,
    master_keys,
    canonicalAudience: (account, audience) => canonicalAudience(account, public_url, audience),
    revoke: async (account_id, subject) => void revoked.push(`${account_id} ${subject}`),
    signUp: signUpUser,
    nudge: () => {
      nudges += 1;
    },
  });
  return { verification, revoked, nudges: () => nudges };
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

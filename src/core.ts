/** What commands and the server share: the database, migrated, and the rooms over it. */
import type { Config } from "./config.ts";
import { type Directory, openDirectory } from "./directory/directory.ts";
import { endFamilies, endOlderFamilies } from "./oauth/refresh/revoke-family.ts";
import { openRevocations } from "./revocation/revocation.ts";
import { masterKeys } from "./secrets/master-keys.ts";
import { migrate, type OnNewer, type OnWait } from "./storage/migrate.ts";
import { openStorage } from "./storage/open.ts";
import type { Storage } from "./storage/storage.ts";
import { tracedStorage } from "./storage/traced.ts";
import type { Tracing } from "./telemetry/tracing.ts";
import { checkMasterKeys } from "./tokens/keys/check-master-keys.ts";
import { openTokens, type Tokens } from "./tokens/tokens.ts";

export interface Core {
  readonly storage: Storage;
  readonly directory: Directory;
  readonly tokens: Tokens;
  close(): Promise<void>;
}

export interface CoreOptions {
  /** True for a server: an SQLite file then belongs to this process alone. */
  readonly exclusive: boolean;
  readonly onQuery?: ((sql: string) => void) | undefined;
  readonly tracing?: Tracing | undefined;
  /** Fails when nobody waits for it any more: a migration may take long, and nothing else has begun before it is done. */
  readonly abandoned?: Promise<never> | undefined;
  readonly onWait?: OnWait | undefined;
  readonly onNewer?: OnNewer | undefined;
  /** Hears why the list of revocations cannot be read. */
  readonly onUnread?: ((error: unknown) => void) | undefined;
}

/** Closes what it opened where it fails. @throws an Error whose message says what to do. */
export async function openCore(config: Config, options: CoreOptions): Promise<Core> {
  const { exclusive, onQuery, tracing, abandoned, onWait, onNewer, onUnread } = options;
  const migrating = migrate(config.database_url, onWait, onNewer);
  await (abandoned === undefined ? migrating : Promise.race([migrating, abandoned]));
  const watch = onQuery ? { onQuery } : {};
  const opened = await openStorage({ database_url: config.database_url, exclusive, ...watch });
  const storage = tracing ? tracedStorage(opened, tracing) : opened;
  try {
    const master_keys = masterKeys(config.master_keys);
    await checkMasterKeys(storage, master_keys);
    const report = onUnread ? { report: onUnread } : {};
    const ends = { authorizationsEnd: endFamilies, loginsEnd: endOlderFamilies };
    const revocations = await openRevocations(storage, { ...ends, ...report });
    const directory = openDirectory({ storage, master_keys, revocations, public_url: config.public_url });
    const tokens = openTokens(storage, master_keys);
    const close = async () => {
      await revocations.stop();
      await storage.close();
    };
    return { storage, directory, tokens, close };
  } catch (error) {
    await storage.close();
    throw error;
  }
}

/** Where a dry run works: over the installation as it is, or where there is none, over one that is thrown away. */
import { randomBytes } from "node:crypto";
import { mkdtempSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { errorOfFolder } from "../advice.ts";
import { stop_signals } from "../config/stop-signals.ts";
import { type Config, type Environment, readConfig } from "../config.ts";
import { migrationNames, pendingMigrations } from "../storage/migrate.ts";

export interface Trial {
  readonly config: Config;
  /** Nothing is installed: `config` names a database of the trial's own. */
  readonly is_new: boolean;
  end(): void;
}

/** Changes nothing where the settings point. @throws when the database waits for a migration. */
export async function openTrial(env: Environment): Promise<Trial> {
  const config = readConfig(env, { generate: false });
  const pending = await pendingMigrations(config.database_url);
  if (pending.length === 0) return { config, is_new: false, end: () => {} };
  if (pending.length < migrationNames().length)
    throw new Error(
      `The database waits for ${pending.join(", ")}, and a dry run applies nothing: run latchkey migrate first.`,
    );
  const { database_url, end } = makeTrialDatabase();
  const master_keys = config.master_keys.length > 0 ? config.master_keys : [randomBytes(32)];
  return { config: { ...config, database_url, master_keys }, is_new: true, end };
}

/** Names where trials are in an error of one's database. */
export const errorOfTrial = (error: unknown): unknown =>
  errorOfFolder(error, `${tmpdir()}, the folder for temporary files (TMPDIR),`);

/** A place for an SQLite database, until its `end`, or that of the process by a signal. */
export function makeTrialDatabase(): { readonly database_url: string; end(): void } {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-trial-"));
  const end = () => {
    rmSync(folder, { recursive: true, force: true });
    for (const signal of stop_signals) process.off(signal, stop);
  };
  const stop = (signal: NodeJS.Signals) => {
    end();
    process.kill(process.pid, signal);
  };
  for (const signal of stop_signals) process.once(signal, stop);
  return { database_url: `sqlite:${join(folder, "latchkey.db")}`, end };
}

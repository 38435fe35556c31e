/**
 * Where the master keys lie: in MASTER_KEY itself, in the file that MASTER_KEY_FILE names or, with SQLite alone, in
 * `master.key` beside the database, where the first start generates one.
 *
 * In: both settings, and where the database is. Out: the keys, newest first, and their file; a fault for each that is
 * missing or unreadable.
 */
import { randomBytes } from "node:crypto";
import { chmodSync, existsSync, linkSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { dirname, join } from "node:path";
import type { Config, Fault } from "../config.ts";
import { makeFolder } from "./make-folder.ts";

export interface Given {
  /** MASTER_KEY and MASTER_KEY_FILE. */
  readonly inline: string | undefined;
  readonly file: string | undefined;
  /** SQLite's file; null with PostgreSQL, undefined where nobody can tell. */
  readonly database: string | null | undefined;
  /** Whether one is generated where there is none yet. */
  readonly generate: boolean;
}

type MasterKeys = Pick<Config, "master_keys" | "master_key_file">;

const NONE: MasterKeys = { master_keys: [], master_key_file: null };

/** @returns no keys where there are none: beside a fault or, where none is to be generated, without one. */
export function readMasterKeys({ inline, file, database, generate }: Given, fault: Fault): MasterKeys {
  if (inline !== undefined && file !== undefined) fault("MASTER_KEY_FILE", "must not be set beside MASTER_KEY.");
  const of = (name: string) => (sentence: string) => fault(name, sentence);
  if (inline !== undefined) return { master_keys: parseKeys(inline, of("MASTER_KEY")), master_key_file: null };
  if (file !== undefined) return { master_keys: readKeyFile(file, of("MASTER_KEY_FILE")), master_key_file: file };
  if (database === undefined) return NONE;
  if (database === null) {
    fault(
      "MASTER_KEY",
      "is required with PostgreSQL: 32 random bytes in base64, for example from `openssl rand -base64 32`.",
    );
    return NONE;
  }
  const path = join(dirname(database), "master.key");
  // In this order: another process that starts now writes the key first.
  const used = existsSync(database);
  if (!existsSync(path)) {
    if (used) {
      fault(
        "MASTER_KEY",
        `is needed: ${database} is there already, and what it was sealed with is not. Set MASTER_KEY or MASTER_KEY_FILE as before, or put master.key back beside it.`,
      );
      return NONE;
    }
    if (!generate) return NONE;
    try {
      generateKey(path);
    } catch (error) {
      const { code = "unknown error" } = error as NodeJS.ErrnoException;
      const remedy = "Make the folder writable for this user, or name another in DATABASE_URL.";
      fault("MASTER_KEY", `is not set, and none can be written to ${dirname(path)}: ${code}. ${remedy}`);
      return NONE;
    }
  }
  const unusable = (sentence: string) => fault("MASTER_KEY", `is not set, and ${path} ${sentence}`);
  return { master_keys: readKeyFile(path, unusable), master_key_file: path };
}

/** It has its name once it is whole, or never: two processes that start at once end up with the same key. */
function generateKey(path: string): void {
  makeFolder(dirname(path));
  const draft = `${path}.${randomBytes(8).toString("hex")}`;
  try {
    writeFileSync(draft, `${randomBytes(32).toString("base64")}\n`, { mode: 0o600, flag: "wx", flush: true });
    chmodSync(draft, 0o600);
    linkSync(draft, path);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code !== "EEXIST") throw error;
  } finally {
    rmSync(draft, { force: true });
  }
}

type Say = (sentence: string) => void;

function readKeyFile(path: string, say: Say): readonly Uint8Array[] {
  try {
    return parseKeys(readFileSync(path, "utf8").trim(), say);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    say(`cannot be read: ${code}. Check the path and its permissions.`);
    return [];
  }
}

/** In either alphabet of base64. Node.js would stop at the first `=`, and drop whatever stands behind it. */
const KEY = /^[A-Za-z0-9+/_-]{43}=?$/;

function parseKeys(text: string, say: Say): readonly Uint8Array[] {
  // Files of an environment, as some programs read them, keep their quotes.
  const entries = text.split(/[,\s"']+/).filter(Boolean);
  if (entries.length === 0 || !entries.every((entry) => KEY.test(entry))) {
    say(
      "must hold 32 bytes in base64 for each version, one a line or separated by commas, for example from `openssl rand -base64 32`.",
    );
  }
  return entries.map((entry) => Buffer.from(entry, "base64"));
}

import { lstatSync, renameSync, rmSync } from "node:fs";
import { type FileHandle, open } from "node:fs/promises";
import { adviceOn } from "../../advice.ts";
import { writeStandard } from "../run.ts";
import type { Write } from "./read-account.ts";

/**
 * Writes a new file that this user alone may read. It stands beside its place, as `<file>.new`, until it is whole and
 * on disk. @returns what `work` came to. @throws when either is there already.
 */
export async function writeOut<T>(file: string, work: (write: Write) => Promise<T>): Promise<T> {
  const beside = `${file}.new`;
  refuseTaken(file);
  const handle = await open(beside, "wx", 0o600).catch((error) => {
    throw named(error, error.code === "EEXIST" ? beside : file);
  });
  try {
    const result = await work((piece) => orNamed(file, () => handle.appendFile(piece)));
    await orNamed(file, () => finish(handle));
    refuseTaken(file);
    await orNamed(file, async () => renameSync(beside, file));
    return result;
  } catch (error) {
    await handle.close().catch(() => {});
    rmSync(beside, { force: true });
    throw error;
  }
}

/** Writes to standard output. @throws when its reader goes away before the end. */
export const writeWhole: Write = async (piece) => {
  if (!(await writeStandard(piece))) throw new Error("Standard output was closed before the account was whole.");
};

async function finish(handle: FileHandle): Promise<void> {
  await handle.sync();
  await handle.close();
}

/** Also a link that leads nowhere is there. */
function refuseTaken(file: string): void {
  if (lstatSync(file, { throwIfNoEntry: false })) throw named(Object.assign(new Error(), { code: "EEXIST" }), file);
}

async function orNamed(file: string, act: () => Promise<void>): Promise<void> {
  await act().catch((error) => {
    throw named(error, file);
  });
}

function named(error: Error, path: string): Error {
  return new Error(`--out ${adviceOn(Object.assign(error, { path }))}`);
}

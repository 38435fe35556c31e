/** A machine's clock that a test sets while a server runs, by libfaketime; its monotonic clock goes on as it should. */
import { existsSync, mkdtempSync, readdirSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pause } from "./wire.ts";

export interface SettableClock {
  /** For the environment of a server. */
  readonly env: Readonly<Record<string, string>>;
  /** Minutes that the clock is ahead of the truth from now on. */
  set(minutes: number): Promise<void>;
  remove(): void;
}

/** `minutes`: where it begins. @returns undefined where the library is not installed. */
export function openSettableClock(minutes: number): SettableClock | undefined {
  const library = ["/usr/lib", "/usr/lib64"]
    .flatMap((folder) => (existsSync(folder) ? [folder, ...readdirSync(folder).map((name) => join(folder, name))] : []))
    .map((folder) => join(folder, "faketime", "libfaketimeMT.so.1"))
    .find(existsSync);
  if (!library) return undefined;
  const folder = mkdtempSync(join(tmpdir(), "latchkey-clock-"));
  const file = join(folder, "time");
  const write = (minutes: number) => {
    // It is read at any moment, and must not be found empty.
    writeFileSync(`${file}.new`, `${minutes < 0 ? "" : "+"}${minutes}m\n`);
    renameSync(`${file}.new`, file);
  };
  write(minutes);
  return {
    env: { LD_PRELOAD: library, FAKETIME_TIMESTAMP_FILE: file, FAKETIME_CACHE_DURATION: "1", DONT_FAKE_MONOTONIC: "1" },
    async set(minutes) {
      write(minutes);
      // The library looks into the file once a second.
      await pause(2_500);
    },
    remove: () => rmSync(folder, { recursive: true, force: true }),
  };
}

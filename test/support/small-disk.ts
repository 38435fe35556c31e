/** A disk of a few megabytes that a test may fill up, and make room on again. */
import { execFileSync } from "node:child_process";
import { chmodSync, closeSync, mkdtempSync, openSync, rmSync, statfsSync, statSync, writeSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";

export interface SmallDisk {
  readonly folder: string;
  /** Takes everything that is left, but for so many bytes. */
  fill(leave?: number): void;
  /** @returns how many bytes that gave back. */
  empty(): number;
  remove(): void;
}

/** @returns undefined where nobody may mount one. */
export function openSmallDisk(megabytes: number): SmallDisk | undefined {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-disk-"));
  try {
    execFileSync("mount", ["-t", "tmpfs", "-o", `size=${megabytes}m,mode=755`, "tmpfs", folder], { stdio: "pipe" });
  } catch {
    rmSync(folder, { recursive: true });
    return undefined;
  }
  chmodSync(folder, 0o755);
  const ballast = join(folder, "ballast");
  return {
    folder,
    fill(leave = 0) {
      const { bavail, bsize } = statfsSync(folder);
      const file = openSync(ballast, "a");
      const page = Buffer.alloc(bsize, 1);
      try {
        for (let left = bavail - Math.ceil(leave / bsize); left > 0; left--) writeSync(file, page);
      } catch (error) {
        // Somebody else took the last of it.
        if ((error as NodeJS.ErrnoException).code !== "ENOSPC") throw error;
      } finally {
        closeSync(file);
      }
    },
    empty() {
      const { size } = statSync(ballast, { throwIfNoEntry: false }) ?? { size: 0 };
      rmSync(ballast, { force: true });
      return size;
    },
    remove() {
      execFileSync("umount", ["--lazy", folder], { stdio: "pipe" });
      rmSync(folder, { recursive: true });
    },
  };
}

import { chmodSync, mkdtempSync, rmSync, statSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
import { migrate } from "../migrate.ts";
import { openSqlite } from "./open-sqlite.ts";

const folder = mkdtempSync(join(tmpdir(), "latchkey-"));
afterAll(() => rmSync(folder, { recursive: true }));

it("is one database by whichever name, a link of the file included, and one server's", async () => {
  const [path, link] = [join(folder, "real.db"), join(folder, "link.db")];
  const open = (named: string) => openSqlite({ path: named, exclusive: true, strict: true });
  await open(path).close();
  symlinkSync(path, link);
  const storage = open(link);
  await storage.write(({ db }) =>
    db
      .insertInto("migrations" as never)
      .values({ name: "x", applied_at: "y" } as never)
      .execute(),
  );
  expect(() => open(path)).toThrow("in use by another running server");
  await storage.close();
});

it("is its owner's alone once it is made, with its log, and stays as somebody else makes it", async () => {
  const path = join(folder, "own.db");
  const modes = () =>
    ["", "-wal", "-shm", "-owner"].map((name) => (statSync(`${path}${name}`).mode & 0o777).toString(8));
  const opened = async () => {
    await migrate(`sqlite:${path}`);
    return openSqlite({ path, exclusive: true, strict: true });
  };
  const umask = process.umask(0o022);
  try {
    const first = await opened();
    expect(modes()).toEqual(["600", "600", "600", "600"]);
    await first.close();
    // As a version before made it.
    chmodSync(`${path}-owner`, 0o644);
    const second = await opened();
    expect(modes()[3]).toBe("600");
    await second.close();
    chmodSync(path, 0o640);
    const third = await opened();
    expect(modes()).toEqual(["640", expect.anything(), expect.anything(), "640"]);
    await third.close();
  } finally {
    process.umask(umask);
  }
});

import { mkdtempSync, rmSync, symlinkSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, expect, it } from "vitest";
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

/** Several servers that start at once on an empty database: one of them makes the demo, whole, and none fails. */
import { mkdtempSync, readFileSync, rmSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, expect, it } from "vitest";
import { prepareDemo } from "../../src/directory/demo/demo.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { basic, call, type Latchkey, startLatchkey } from "../support/latchkey.ts";

describeOnBothEngines("starts at once", (engine) => {
  let latchkey: Latchkey;
  let folder: string;
  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-demos-"));
    latchkey = await startLatchkey(engine);
  });
  afterAll(async () => {
    await latchkey.close();
    rmSync(folder, { recursive: true, force: true });
  });

  it("make one demo, and its secret is the one that its file holds", async () => {
    const { directory, storage } = latchkey.server.core;
    const files = ["one", "two", "three"].map((name) => join(folder, `${name}.json`));
    const made = await Promise.all(files.map((file) => prepareDemo(directory, file)));
    expect(made.toSorted()).toEqual([false, false, true]);
    for (const table of ["clients", "grants", "users"] as const) {
      const rows = await storage.read.selectFrom(table).select("id").where("account_id", "=", "T00000001").execute();
      expect(rows, table).toHaveLength(1);
    }
    const demo = JSON.parse(readFileSync(files[made.indexOf(true)] ?? "", "utf8"));
    const token = await call(`${latchkey.url}/v1/accounts/T00000001/oauth/token`, {
      ...{ method: "POST", headers: { authorization: basic(demo) } },
      form: { grant_type: "client_credentials", resource: demo.audience },
    });
    expect(token.status, token.text).toBe(200);
  });

  it("leave nothing behind where the last step fails, so that the next one makes it", async () => {
    const other = await startLatchkey(engine);
    const { directory, storage } = other.server.core;
    const write: typeof storage.write = (work) =>
      storage.write(async (tx) => {
        const result = await work(tx);
        const users = tx.db.selectFrom("users").select("id").where("account_id", "=", "T00000001");
        if ((await users.execute()).length > 0) throw new Error("away");
        return result;
      });
    const file = join(folder, "cut.json");
    await expect(prepareDemo({ ...directory, storage: { ...storage, write } }, file)).rejects.toThrow("away");
    expect(await prepareDemo(directory, file)).toBe(true);
    const users = storage.read.selectFrom("users").select("id").where("account_id", "=", "T00000001");
    expect(await users.execute()).toHaveLength(1);
    await other.close();
  });
});

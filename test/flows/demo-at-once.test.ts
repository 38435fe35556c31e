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

  it("in another folder each leave the secrets good that others have printed, of however many", async () => {
    const { directory } = latchkey.server.core;
    const start = async (name: string) => {
      const file = join(folder, `${name}.json`);
      const made = await prepareDemo(directory, file);
      return { made, demo: JSON.parse(readFileSync(file, "utf8")) };
    };
    const ask = async ({ demo }: Awaited<ReturnType<typeof start>>) => {
      const form = { grant_type: "client_credentials", resource: demo.audience };
      const asking = { method: "POST", headers: { authorization: basic(demo) }, form };
      return (await call(`${latchkey.url}/v1/accounts/T00000001/oauth/token`, asking)).status;
    };
    const [first, second] = [await start("first"), await start("second")];
    expect([await ask(first), await ask(second)]).toEqual([200, 200]);
    expect((await start("first")).made, "its secret is good").toBe(false);
    for (let n = 0; n < 20; n++) await start(`further-${n}`);
    expect(await ask(first), "there are too many").toBe(401);
    const again = await start("first");
    expect([again.made, await ask(again)]).toEqual([true, 200]);
  });

  it("at another address each find a grant for it, unless there is no room or somebody took all of them away", async () => {
    const { directory } = latchkey.server.core;
    const file = join(folder, "moved.json");
    const start = async (public_url: string) => {
      await prepareDemo({ ...directory, public_url }, file);
      const demo = JSON.parse(readFileSync(file, "utf8"));
      const form = { grant_type: "client_credentials", resource: demo.audience };
      const asking = { method: "POST", headers: { authorization: basic(demo) }, form };
      return (await call(`${latchkey.url}/v1/accounts/T00000001/oauth/token`, asking)).status;
    };
    expect([await start(directory.public_url), await start("http://localhost:8081")]).toEqual([200, 200]);
    await directory.storage.write(async ({ db }) => {
      const held = db.selectFrom("grants").selectAll().where("account_id", "=", "T00000001");
      const one = await held.executeTakeFirstOrThrow();
      const further = Array.from({ length: 200 }, (_, n) => ({ ...one, id: `further-${n}`, audience: `urn:${n}` }));
      for (const grant of further) await db.insertInto("grants").values(grant).execute();
    });
    directory.grants.clear();
    expect(await start("http://localhost:8083"), "the client has as many as it may have").toBe(400);
    await directory.storage.write(({ db }) => db.deleteFrom("grants").where("account_id", "=", "T00000001").execute());
    directory.grants.clear();
    expect(await start("http://localhost:8082")).toBe(400);
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

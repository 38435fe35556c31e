/** The file that an account moves in, where the account is large: written page by page, read line by line. */
import { spawn } from "node:child_process";
import { once } from "node:events";
import { createReadStream, existsSync, mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { readAccount } from "../../src/cli/portable/read-account.ts";
import { readDocument } from "../../src/cli/portable/read-document.ts";
import { writeOut } from "../../src/cli/portable/write-out.ts";
import { sqlitePath } from "../../src/config.ts";
import { openStorage } from "../../src/storage/open.ts";
import { openSqliteFile } from "../../src/storage/sqlite/connection.ts";
import { createTestDatabase, describeOnBothEngines, engines } from "../support/engines.ts";
import { createTenant, MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { CLI, cli } from "../support/process.ts";

/** What JSON escapes, what takes several bytes, and what some take for the end of a line. */
const NAME = 'Åse "\\" \n\r\u2028\u2029 {"a":[ 🦊 \u0001 ],';
const USERS = 1_050;

let folder: string;
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), "latchkey-large-"));
});
afterAll(() => rmSync(folder, { recursive: true, force: true }));

async function addUsers(database_url: string, account_id = "P11200001"): Promise<void> {
  const storage = await openStorage({ database_url, strict: true });
  const at = "2026-01-31T12:00:00.000Z";
  for (let from = 0; from < USERS; from += 100) {
    const rows = Array.from({ length: Math.min(100, USERS - from) }, (_, n) => ({
      ...{ account_id, id: `00000000-0000-7000-8000-${String(from + n).padStart(12, "0")}` },
      ...{ type: "customer", customer_id: `c-${from + n}`, name: NAME, profile: "{}", scope: "[]" },
      ...{ created_at: at, updated_at: at },
    }));
    await storage.write((tx) => tx.db.insertInto("users").values(rows).execute());
    const roles = rows.map(({ id }) => ({ account_id, user_id: id, role_id: "r" }));
    const second = roles.map((role) => ({ ...role, role_id: "s" }));
    await storage.write((tx) =>
      tx.db
        .insertInto("user_roles")
        .values([...roles, ...second])
        .execute(),
    );
  }
  await storage.close();
}

describeOnBothEngines("an account of more rows than a page", (engine) => {
  it("is written a row a line, and arrives whole, by way of a file of either layout", async () => {
    const from = await createTestDatabase(engine);
    const env = { DATABASE_URL: from.database_url, MASTER_KEY };
    expect((await cli(env, "account", "create", "P11200001")).code).toBe(0);
    await addUsers(from.database_url);
    const file = join(folder, `${engine}.json`);
    const written = await cli(env, "export", "P11200001", "--out", file, "--json");
    expect(written.code, written.stderr).toBe(0);
    const counted = { accounts: 1, users: USERS, user_roles: 2 * USERS };
    expect(JSON.parse(written.stdout).rows).toMatchObject(counted);
    const text = readFileSync(file, "utf8");
    const { tables, key_versions } = JSON.parse(text);
    const lines = new Set(text.split("\n").map((line) => line.replace(/,$/, "")));
    for (const row of [...tables.users, ...tables.user_roles]) expect(lines).toContain(JSON.stringify(row));
    expect(new Set(tables.users.map(({ id }: { id: string }) => id)).size).toBe(USERS);
    expect(key_versions).toEqual(JSON.parse(written.stdout).key_versions);

    const pretty = join(folder, `${engine}-pretty.json`);
    writeFileSync(pretty, `${JSON.stringify(JSON.parse(text), null, 1)}\n`);
    const other = engines.find((name) => name !== engine) ?? engine;
    for (const one of [file, pretty]) {
      const to = await createTestDatabase(other);
      const there = { DATABASE_URL: to.database_url, MASTER_KEY };
      const read = await cli(there, "import", one, "--json");
      expect(read.code, read.stderr).toBe(0);
      expect(JSON.parse(read.stdout).rows).toMatchObject(counted);
      expect((await cli(there, "export", "P11200001", "--out", `${one}.again`)).code).toBe(0);
      expect(JSON.parse(readFileSync(`${one}.again`, "utf8")).tables).toEqual(tables);
      await to.drop();
    }
    await from.drop();
  }, 120_000);
});

it("says so in one line where nobody reads it to its end", async () => {
  const database = await createTestDatabase("sqlite");
  const env = { DATABASE_URL: database.database_url, MASTER_KEY, PATH: process.env.PATH };
  expect((await cli(env, "account", "create", "P11200001")).code).toBe(0);
  const child = spawn(process.execPath, [CLI, "export", "P11200001"], { env });
  child.stdout.destroy();
  const said: Buffer[] = [];
  child.stderr.on("data", (piece) => said.push(piece));
  const [code] = await once(child, "close");
  const line = "Standard output was closed before the account was whole.\n";
  expect([code, Buffer.concat(said).toString()]).toEqual([1, line]);
  await database.drop();
});

describe("a page of a table", () => {
  it("is sought by its key, not read up to from the account's first row", async () => {
    const latchkey = await startLatchkey("sqlite");
    const { account_id } = await createTenant(latchkey);
    const { database_url } = latchkey.database;
    await addUsers(database_url, account_id);
    const texts = new Set<string>();
    const storage = await openStorage({ database_url, strict: true, onQuery: (text) => void texts.add(text) });
    await readAccount({ ...latchkey.server.core, storage }, account_id, async () => {});
    const further = [...texts].filter((text) => text.includes(") > ("));
    expect(further).toHaveLength(2);
    const file = openSqliteFile(sqlitePath(database_url));
    for (const text of further) {
      const plan = file.all(`explain query plan ${text.replaceAll("?", "1")}`).map(({ detail }) => detail);
      expect(plan).toEqual([expect.stringMatching(/PRIMARY KEY \(account_id=\? AND .*>/)]);
    }
    file.close();
    await storage.close();
    await latchkey.close();
  });
});

describe("a file with a row a line", () => {
  const row = (n: number) => JSON.stringify({ account_id: "P11200001", id: String(n), name: NAME, seed: null });
  const lines = [
    ...['{"format":"latchkey-account/1",', '"account_id":"P11200001","exported_at":"x",', '"tables":{'],
    ...['"accounts":[', "],", '"users":[', `${row(1)},`, row(2), "]", "},", '"key_versions":["v"]}', ""],
  ];
  const reading = (text: string, highWaterMark?: number) => {
    const file = join(folder, "pieces.json");
    writeFileSync(file, text);
    return readDocument(createReadStream(file, { highWaterMark }));
  };

  it("reads like all other JSON, whatever pieces it comes in", async () => {
    const text = lines.join("\n");
    expect(JSON.parse(text).tables.users).toHaveLength(2);
    for (const layout of [text, text.trimEnd(), JSON.stringify(JSON.parse(text), null, 1), "{}", '"x"'])
      for (const size of [1, 2, 3, 5, 33, 34, 35, 65_536])
        expect(await reading(layout, size), `${size}`).toEqual(JSON.parse(layout));
  });

  it("is refused where it is cut off, or a row is damaged, with its place", async () => {
    const refused = (kept: readonly string[]) => expect(reading(kept.join("\n"))).rejects;
    for (let kept = 0; kept < lines.length - 1; kept++)
      await refused(lines.slice(0, kept)).toMatchObject({ code: "invalid_request" });
    const damaged = lines.map((line) => (line === `${row(1)},` ? line.slice(0, -3) : line));
    await refused(damaged).toThrow("the file: has a row in line 7 that is not valid JSON");
  });

  it("is refused with the line that another program has damaged between its rows", async () => {
    const damaged = lines.map((line) => (line === "}," ? "}" : line));
    await expect(reading(damaged.join("\n"))).rejects.toThrow("is not valid JSON: see line 11, column 1");
  });

  it("may be longer than one string, as nothing else may, which says what to do", async () => {
    const piece = Buffer.alloc(1 << 20, " ");
    async function* long() {
      for (let n = 0; n < 513; n++) yield piece;
    }
    await expect(readDocument(long())).rejects.toThrow(/longer than \d+ bytes.*export the account again/);
  });
});

describe("a file that is written", () => {
  it("has its name once it is whole, and is nowhere when it was interrupted", async () => {
    const file = join(folder, "out.json");
    const interrupted = writeOut(file, async (write) => {
      await write("one");
      expect([existsSync(file), readFileSync(`${file}.new`, "utf8")]).toEqual([false, "one"]);
      expect(statSync(`${file}.new`).mode & 0o777).toBe(0o600);
      throw new Error("interrupted");
    });
    await expect(interrupted).rejects.toThrow("interrupted");
    expect([existsSync(file), existsSync(`${file}.new`)]).toEqual([false, false]);
    expect(await writeOut(file, async (write) => write("two").then(() => 2))).toBe(2);
    expect([readFileSync(file, "utf8"), existsSync(`${file}.new`)]).toEqual(["two", false]);
  });

  it("takes the place of no other, also of one that came meanwhile or is half written", async () => {
    const file = join(folder, "taken.json");
    const meanwhile = writeOut(file, async (write) => {
      await write("one");
      writeFileSync(file, "theirs");
    });
    await expect(meanwhile).rejects.toThrow(/^--out .*taken.json is there already/);
    await expect(writeOut(file, async () => {})).rejects.toThrow(/^--out .*taken.json is there already/);
    expect(readFileSync(file, "utf8")).toBe("theirs");
    writeFileSync(join(folder, "half.json.new"), "half");
    await expect(writeOut(join(folder, "half.json"), async () => {})).rejects.toThrow(
      /^--out .*half.json.new is there already/,
    );
    expect(readFileSync(join(folder, "half.json.new"), "utf8")).toBe("half");
  });
});

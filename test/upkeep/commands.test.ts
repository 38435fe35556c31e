/** What the API refuses, the command line refuses too, in the words that were typed; and it writes nothing. */
import { existsSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { sql } from "kysely";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { portable_tables } from "../../src/cli/portable/portable.ts";
import { findHoldings } from "../../src/directory/users/find-account-user.ts";
import { openStorage } from "../../src/storage/open.ts";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { admin } from "../support/global-setup.ts";
import { MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { cli, startProcess } from "../support/process.ts";
import { openSmallDisk } from "../support/small-disk.ts";
import { until } from "../support/smtp.ts";
import { openSurfer } from "../support/surfer.ts";

describeOnBothEngines("commands that create", (engine) => {
  it("refuse what the API refuses, name the flag, and write nothing", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    expect((await cli(env, "account", "create", "P11200001")).code).toBe(0);
    expect((await cli(env, "client", "create", "P11200001", "--client-id", "web")).code).toBe(0);
    const refused: readonly (readonly [flag: string, ...command: string[]])[] = [
      ["<account_id>", "account", "create", "P11"],
      ["--name", "account", "create", "P11200002", "--name", ""],
      ["--country", "account", "create", "P11200002", "--country", "Norway"],
      ["--country", "account", "create", "P11200002", "--country", "UK"],
      ["--callback", "client", "create", "P112", "--callback", "http://shop.example/cb"],
      [
        "--callback",
        "client",
        "create",
        "P112",
        "--callback",
        "https://a.example/",
        "--callback",
        "https://a.example/",
      ],
      ["--client-id", "client", "create", "P112", "--client-id", "a b"],
      ["--response-type", "client", "create", "P112", "--response-type", "code", "code"],
      ["<account_id>", "grant", "create", "P11", "web"],
      ["--scope", "grant", "create", "P112", "web", "--scope", 'a"b'],
      ["--email", "user", "create", "P112"],
      ["--email", "user", "create", "P112", "--email", "ada"],
      ["--email", "user", "create", "P112", "--type", "account_user", "--customer-id", "1"],
      ["--phone-number", "user", "create", "P112", "--phone-number", "12x45"],
      ["--customer-id", "user", "create", "P112", "--customer-id", "a "],
      ["--locale", "user", "create", "P112", "--email", "ada@example.com", "--locale", "no such"],
      ["--scope", "user", "create", "P112", "--email", "ada@example.com", "--scope", "admin:accounts"],
    ];
    for (const [flag, ...command] of refused) {
      const args = command.map((word) => (word === "P112" ? "P11200001" : word));
      const { code, stderr } = await cli(env, ...args);
      expect([code, stderr.split(" ")[0]], `${command.join(" ")}: ${stderr}`).toEqual([2, flag]);
    }
    const nameless = ["--type", "account_user", "--phone-number", "40000001"];
    expect((await cli(env, "user", "create", "P11200001", ...nameless)).stderr).toBe("--email is required.\n");
    const json = JSON.parse((await cli(env, "user", "create", "P11200001", "--email", "ada", "--json")).stderr);
    expect(json.error).toMatchObject({ code: "invalid_request", errors: [{ path: "--email" }] });
    const latchkey = await startLatchkey(engine, { database });
    const { read } = latchkey.server.core.storage;
    const count = async (table: "accounts" | "clients" | "grants" | "users") =>
      (await read.selectFrom(table).select("account_id").where("account_id", "like", "P%").execute()).length;
    expect(await Promise.all((["accounts", "clients", "grants", "users"] as const).map(count))).toEqual([1, 1, 0, 0]);
    await latchkey.close();
  });

  it("name the grant that a client has already, and add scopes to it where that is asked for", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    await cli(env, "account", "create", "T11200001");
    await cli(env, "client", "create", "T11200001", "--client-id", "admin");
    const grant = (...args: string[]) => cli(env, "grant", "create", "T11200001", "admin", "--json", ...args);
    const made = JSON.parse((await grant("--scope", "read:customers", "--add")).stdout) as { id: string };
    const again = await grant("--scope", "admin:accounts", "admin:customers");
    expect([again.code, JSON.parse(again.stderr).error]).toMatchObject([
      1,
      { message: expect.stringContaining(made.id), errors: [{ path: "--audience", code: "taken" }] },
    ]);
    const added = await grant("--scope", "admin:accounts", "read:customers", "--add");
    const [audience, type] = ["http://localhost:8080/v1/accounts/T11200001", "any"];
    const scope = ["read:customers", "admin:accounts"];
    expect(JSON.parse(added.stdout)).toEqual({ ...made, client_id: expect.any(String), audience, scope, type });
    const latchkey = await startLatchkey(engine, { database });
    const { read } = latchkey.server.core.storage;
    const rows = await read
      .selectFrom("grants")
      .select(["id", "scope"])
      .where("account_id", "=", "T11200001")
      .execute();
    expect(rows).toEqual([{ id: made.id, scope: JSON.stringify(scope) }]);
    const audit = read.selectFrom("audit_events").select("action").where("entity", "=", made.id).orderBy("id");
    expect((await audit.execute()).map(({ action }) => action)).toEqual(["grant.created", "grant.changed"]);
    await latchkey.close();
  });

  it("add no more scopes to a grant than one may give", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    await cli(env, "account", "create", "T11200001");
    await cli(env, "client", "create", "T11200001", "--client-id", "admin");
    const scopes = (from: number, to: number) => Array.from({ length: to - from }, (_, n) => `orders:${from + n}`);
    const add = (from: number, to: number) =>
      cli(env, "grant", "create", "T11200001", "admin", "--json", "--add", "--scope", ...scopes(from, to));
    expect(JSON.parse((await add(0, 150)).stdout).scope).toEqual(scopes(0, 150));
    const refused = await add(100, 201);
    expect([refused.code, JSON.parse(refused.stderr).error]).toMatchObject([
      1,
      { code: "invalid_request", errors: [{ path: "--scope", code: "too_many" }] },
    ]);
    expect(JSON.parse((await add(100, 200)).stdout).scope).toEqual(scopes(0, 200));
    await database.drop();
  });

  it("make the client and the user that the page of the sandbox inbox asks for", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    await cli(env, "account", "create", "T11200001");
    const latchkey = await startLatchkey(engine, { database });
    const page = () => openSurfer(latchkey).visit(`${latchkey.url}/v1/accounts/T11200001/sandbox`, {});
    const [, command = ""] = /<code>latchkey ([^<]*)<\/code>/.exec((await page()).html) ?? [];
    expect((await cli(env, ...command.split(" "))).code).toBe(0);
    // A server that has looked a moment ago, and found none, looks again after a second.
    await until("the login", async () => (await page()).url.includes("/login?request="));
    const address = ["--email", "grace@example.com"];
    const staff = ["--type", "account_user", "--scope", "read:accounts:/sandbox read:accounts"];
    const made = await cli(env, "user", "create", "T11200001", ...address, ...staff, "--json");
    const { id } = JSON.parse(made.stdout) as { id: string };
    const { scope } = await findHoldings(latchkey.server.core.directory, "T11200001", id);
    expect(scope.toSorted()).toEqual(["read:accounts", "read:accounts:/sandbox"]);
    await latchkey.close();
  });
});

describe("commands that print", () => {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-print-"));
  const env = { DATABASE_URL: `sqlite:${folder}/latchkey.db`, MASTER_KEY };
  beforeAll(async () => {
    await cli(env, "account", "create", "P11200001");
    await cli(env, "client", "create", "P11200001", "--client-id", "web");
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  it("take scopes as words and as one text", async () => {
    const scopeOf = async (audience: string, ...scope: string[]) => {
      const command = ["grant", "create", "P11200001", "web", "--audience", audience, "--scope", ...scope];
      return JSON.parse((await cli(env, ...command, "--json")).stdout).scope;
    };
    expect(await scopeOf("https://words.example", "a", "b")).toEqual(["a", "b"]);
    expect(await scopeOf("https://text.example", "a b", " c")).toEqual(["a", "b", "c"]);
  });

  it("say of a user what is kept, not what was typed", async () => {
    const create = (...args: string[]) => cli(env, "user", "create", "P11200001", ...args);
    expect(JSON.parse((await create("--phone-number", "40 00 00 00", "--customer-id", "7", "--json")).stdout)).toEqual({
      id: expect.any(String),
      type: "customer",
      phone_number: "+4740000000",
      customer_id: "7",
    });
    const { stdout } = await create("--phone-number", "40 00 00 01", "--customer-id", "8");
    expect(stdout.split("\n").slice(1)).toEqual(["  phone_number  +4740000001", "  customer_id   8", ""]);
  });

  it("stand in columns, however long a name is", async () => {
    const { stdout } = await cli(env, "keys", "reseal");
    const columns = stdout.split("\n").flatMap((line) => (line.endsWith("moved") ? [line.search(/\d+ moved$/)] : []));
    expect([columns.length, new Set(columns).size]).toEqual([4, 1]);
  });

  it("explain every argument in their help, and no empty default", async () => {
    const changing = ["client create", "grant create", "user create", "user erase", "keys rotate", "export"];
    const managing = [
      "account show",
      "account set",
      "grant list",
      ...["list", "show", "set", "secret"].map((verb) => `client ${verb}`),
    ];
    const commands = [...changing, ...managing];
    for (const command of commands) {
      const { stdout } = await cli(env, ...command.split(" "), "--help");
      expect(stdout, command).toMatch(/\n {2}account_id +P or T and eight digits/);
      expect(stdout, command).not.toContain("default: []");
    }
  });
});

describe("commands that fail", () => {
  let folder: string;
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-commands-"));
  });
  afterAll(() => rmSync(folder, { recursive: true, force: true }));

  const write = (name: string, content: object) => {
    writeFileSync(join(folder, name), JSON.stringify(content));
    return join(folder, name);
  };

  it("name every fault of a file once, with its place, one a line where they are many", async () => {
    const env = { DATABASE_URL: `sqlite:${folder}/import.db`, MASTER_KEY };
    const linesOf = async (...args: string[]) =>
      (await cli(env, "import", ...args, "--dry-run")).stderr.trim().split("\n");
    const pathsOf = async (file: string) =>
      JSON.parse((await cli(env, "import", file, "--dry-run", "--json")).stderr).error.errors.map(
        ({ path, message }: { path: string; message: string }) => `${path} ${message}`,
      );
    const account = { account_id: "P11200001" };
    const unknown = Array.from({ length: 12 }, (_, n) => ({ customer_id: String(n), emial: "x" }));
    const shape = write("shape.json", { account, users: [...unknown, { email: 3 }], clients: [{ name: "web" }] });
    const said = [
      "clients.0.client_id is required",
      ...unknown.map((_, n) => `users.${n}.emial is not a known field`),
      "users.12.email must be a string",
    ];
    expect((await linesOf(shape)).toSorted()).toEqual(said.toSorted());
    expect((await pathsOf(shape)).toSorted()).toEqual(said.toSorted());
    const content = write("content.json", {
      account,
      users: [{ type: "account_user", email: "ada", phone_number: "1234", roles: ["a", "b"] }],
    });
    expect((await linesOf(content)).map((line) => line.split(" ")[0])).toEqual([
      ...["users.0.email", "users.0.phone_number", "users.0.roles", "users.0.roles"],
    ]);
    const many = write("many.json", { account, users: Array.from({ length: 3_000 }, () => ({ emial: "x" })) });
    const lines = await linesOf(many);
    expect([lines.length, lines.at(-1)]).toEqual([101, "and 2900 more, which --json names"]);
    expect(await pathsOf(many)).toHaveLength(3_000);
  }, 60_000);

  it.each([
    [
      "a letter of another encoding",
      Buffer.from('{"account": {"account_id": "T11200001", "name": "Bj\xf8rn"}}', "latin1"),
    ],
    ["half a surrogate pair", Buffer.from('{"account": {"account_id": "T11200001", "name": "Bj\\ud800rn"}}')],
  ])("import no file with %s", async (_what, content) => {
    const database_url = `sqlite:${folder}/encoded.db`;
    const file = join(folder, "encoded.json");
    writeFileSync(file, content);
    for (const flags of [["--dry-run"], []]) {
      const { code, stderr } = await cli({ DATABASE_URL: database_url, MASTER_KEY }, "import", file, ...flags);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/UTF-8|half of a surrogate pair/)]);
    }
  });

  it("say that a new installation begins and where, and begin none where they are refused", async () => {
    const place = join(folder, "beginning");
    const env = { DATABASE_URL: `sqlite:${place}/latchkey.db` };
    const nothing = join(folder, "not-there.json");
    const holding = (name: string, content: object) => {
      writeFileSync(join(folder, name), JSON.stringify(content));
      return join(folder, name);
    };
    const account = { account_id: "P11200001", name: "Shop" };
    const exported = { format: "latchkey-account/1", account_id: "P11200001", exported_at: "" };
    const rows = (tables: object) => ({
      ...Object.fromEntries(portable_tables.map((table) => [table, []])),
      ...tables,
    });
    const sealed = { ...exported, key_versions: ["0a0b0c0d"], tables: rows({ accounts: [account] }) };
    const later = { ...exported, key_versions: [], tables: rows({ accounts: [{ ...account, later: 1 }] }) };
    const unknown = { account, users: [{ type: "account_user", email: "ada@example.com", roles: ["support"] }] };
    for (const [wanted, said, ...command] of [
      [2, "<account_id> is P or T", "account", "create", "X1"],
      [2, "--country", "account", "create", "P11200001", "--country", "UK"],
      [1, `${nothing} is not there`, "import", nothing],
      [1, "account is required", "import", holding("nobody.json", { users: [] })],
      [1, "users.0.roles names the role support", "import", holding("unknown.json", unknown)],
      [1, "key_versions: the file is sealed", "import", holding("sealed.json", sealed)],
      [1, "tables.accounts: has what this version", "import", holding("later.json", later)],
    ] as const) {
      const { code, stderr } = await cli(env, ...command);
      expect([code, stderr.slice(0, said.length)]).toEqual([wanted, said]);
      expect(existsSync(place), command.join(" ")).toBe(false);
    }
    const first = await cli(env, "account", "create", "P11200001");
    expect([first.code, first.stderr]).toEqual([0, `A new installation begins in ${place}/latchkey.db.\n`]);
    expect((await cli(env, "account", "create", "P11200002")).stderr).toBe("");
    const json = { DATABASE_URL: `sqlite:${folder}/json.db`, MASTER_KEY };
    const founded = await cli(json, "account", "create", "P11200001", "--json");
    expect([founded.stderr, JSON.parse(founded.stdout).new_installation]).toEqual(["", true]);
    const next = JSON.parse((await cli(json, "account", "create", "P11200002", "--json")).stdout);
    expect(next).not.toHaveProperty("new_installation");
  });

  it("say how scopes are added to a grant that is there", async () => {
    const env = { DATABASE_URL: `sqlite:${folder}/added.db`, MASTER_KEY };
    await cli(env, "account", "create", "P11200001");
    await cli(env, "client", "create", "P11200001", "--client-id", "web");
    const grant = (...flags: string[]) => cli(env, "grant", "create", "P11200001", "web", "--scope", "a:b", ...flags);
    expect((await grant()).code).toBe(0);
    const again = await grant();
    expect([again.code, again.stderr]).toEqual([
      1,
      expect.stringMatching(/add the scopes to that one, with --add\.$/m),
    ]);
    expect((await grant("--add")).code).toBe(0);
  });

  it("say what cannot be read", async () => {
    const env = { DATABASE_URL: `sqlite:${folder}/read.db`, MASTER_KEY };
    const { code, stderr } = await cli(env, "import", folder);
    expect([code, stderr]).toEqual([1, `${folder} is a folder: name a file.\n`]);
    writeFileSync(join(folder, "half.json"), "{");
    const half = await cli(env, "import", join(folder, "half.json"));
    expect([half.code, half.stderr]).toEqual([
      1,
      `${join(folder, "half.json")} is not valid JSON: it ends before its JSON does.\n`,
    ]);
    writeFileSync(join(folder, "comma.json"), '{\n  "account": {},\n}');
    const comma = await cli(env, "import", join(folder, "comma.json"));
    expect([comma.code, comma.stderr]).toEqual([
      1,
      `${join(folder, "comma.json")} is not valid JSON: see line 3, column 1.\n`,
    ]);
  });

  it("name the account that is not there, and what to check", async () => {
    const env = { DATABASE_URL: `sqlite:${folder}/other.db`, MASTER_KEY };
    await cli(env, "migrate");
    for (const command of ["client create T112", "keys rotate T11200000", "export T11200000", "user erase T112 a"]) {
      const { code, stderr } = await cli(env, ...command.split(" "));
      expect([code, stderr], command).toEqual([
        1,
        "There is no account T11200000 here. Create it with latchkey account create, or check DATABASE_URL.\n",
      ]);
    }
  });

  it("make no installation where the server's is not, and ask for its environment", async () => {
    const empty = join(folder, "empty");
    mkdirSync(empty);
    const env = { DATABASE_URL: `sqlite:${empty}/latchkey.db` };
    const commands = [
      ["client", "create", "P11200001"],
      ["grant", "create", "P11200001", "web"],
      ["user", "create", "P11200001", "--email", "ada@example.com"],
      ["keys", "rotate", "P11200001"],
      ["keys", "reseal"],
      ["export", "P11200001"],
    ];
    for (const command of commands) {
      const { code, stderr } = await cli(env, ...command);
      const asked = `DATABASE_URL names ${empty}/latchkey.db, which is not there. Is this the server's environment`;
      expect([code, stderr], command.join(" ")).toEqual([2, expect.stringContaining(asked)]);
    }
    expect(readdirSync(empty)).toEqual([]);
    expect((await cli(env, "account", "create", "P11200001")).code).toBe(0);
    expect((await cli(env, "user", "create", "P11200001", "--email", "ada@example.com")).code).toBe(0);
  }, 60_000);

  it("make no installation in a PostgreSQL database that has none", async () => {
    const { database_url, drop } = await createTestDatabase("postgres");
    await admin(database_url, "drop schema public cascade; create schema public; create table theirs (id text)");
    const env = { DATABASE_URL: database_url, MASTER_KEY };
    for (const command of ["client create P11200001", "keys reseal", "export P11200001", "user erase P11200001 a"]) {
      const { code, stderr } = await cli(env, ...command.split(" "));
      const asked = "DATABASE_URL names a database in which nothing is installed. Is this the server's environment";
      expect([code, stderr], command).toEqual([2, expect.stringContaining(asked)]);
    }
    const storage = await openStorage({ database_url });
    const { rows } =
      await sql`select relname as name from pg_class where relnamespace = 'public'::regnamespace`.execute(storage.read);
    expect(rows).toEqual([{ name: "theirs" }]);
    await storage.close();
    expect((await cli(env, "account", "create", "P11200001")).code).toBe(0);
    await drop();
  }, 60_000);

  it("say that the disk is full", async ({ skip }) => {
    const disk = openSmallDisk(16);
    if (!disk) {
      console.warn("Nobody may mount a small disk here: a full one is not tried.");
      return skip();
    }
    const database_url = `sqlite:${disk.folder}/latchkey.db`;
    const env = { DATABASE_URL: database_url, MASTER_KEY };
    const server = await startProcess({ database_url });
    try {
      expect((await cli(env, "account", "create", "T11200001")).code).toBe(0);
      disk.fill();
      // The log may have some room left.
      const people = Array.from({ length: 2_000 }, (_, n) => ({ customer_id: `${n}` }));
      const file = write("people.json", { account: { account_id: "T11200001" }, users: people });
      const { code, stderr } = await cli(env, "import", file);
      expect([code, stderr]).toEqual([1, expect.stringMatching(/^DATABASE_URL names a file whose disk is full .*\n$/)]);
    } finally {
      await server.kill("SIGTERM");
      disk.remove();
    }
  }, 60_000);
});

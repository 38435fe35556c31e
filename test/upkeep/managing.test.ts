/** What the command line lists, shows and sets: by the checks of the API, in its words, and with an event of its own. */
import { expect, it } from "vitest";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { addClient, addGrant, createTenant, MASTER_KEY, startLatchkey, tokenOf } from "../support/latchkey.ts";
import { cli, type Ended } from "../support/process.ts";

const json = ({ stdout }: Ended) => JSON.parse(stdout);

function openCommands({ database_url }: TestDatabase) {
  return (...args: string[]) => cli({ DATABASE_URL: database_url, MASTER_KEY }, ...args);
}

describeOnBothEngines("commands that manage", (engine) => {
  it("say what to do where there is nothing to list", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("migrate");
    expect((await latchkey("account", "list")).stdout).toContain("latchkey account create P11200001");
    expect(json(await latchkey("account", "list", "--json"))).toEqual([]);
    await latchkey("account", "create", "P11200001");
    expect((await latchkey("client", "list", "P11200001")).stdout).toContain("latchkey client create P11200001");
    expect((await latchkey("grant", "list", "P11200001")).stdout).toContain("latchkey grant create P11200001 <client>");
    const { code, stderr } = await latchkey("client", "show", "P11200001", "web");
    expect([code, stderr]).toEqual([
      1,
      "There is no client web in P11200001: latchkey client list P11200001 says which there are.\n",
    ]);
    await database.drop();
  });

  it("set an account as the API does, or name the key and set nothing", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("account", "create", "P11200001", "--name", "Shop");
    const set = (...words: string[]) => latchkey("account", "set", "P11200001", ...words);
    const said = await set("sms_daily_budget=5000", 'sms_countries=["NO","SE"]', "locale=nb", "jwks=");
    expect([said.code, said.stderr]).toEqual([0, ""]);
    expect(said.stdout.split("\n").slice(1)).toEqual([
      "  jwks              null",
      '  sms_countries     ["NO","SE"]',
      "  sms_daily_budget  5000",
      "  locale            nb",
      "",
    ]);
    for (const [key, ...words] of [
      ["sms_countries.0", "country=NO", 'sms_countries=["UK"]'],
      ["sms_daily_budget", "country=NO", "sms_daily_budget=many"],
      ["no_such", "country=NO", "no_such=1"],
      ["locale", "locale="],
      ["locale", "country=NO", "locale=fr-FR"],
      ["signup", "signup=true"],
      ["applicant", 'applicant={"a":"\\u0000"}'],
      ["name", "locale=nb", "name="],
    ] as const) {
      const refused = await set(...words, "--json");
      expect([refused.code, JSON.parse(refused.stderr).error.errors[0].path]).toEqual([2, key]);
    }
    expect((await set("sms_daily_budgt=5", "sms_countries=NO,SE")).stderr).toBe(
      "sms_daily_budgt is not a known field (did you mean sms_daily_budget?); sms_countries must be an array: JSON, such as sms_countries='[\"…\"]'.\n",
    );
    expect((await set("locale=klingon")).stderr).toBe(
      "locale must match ^[A-Za-z]{2,3}(-[A-Za-z0-9]{2,8})*$, such as nb or en-GB.\n",
    );
    const spoken = "locale must be a language that messages are written in: en, nb, sv, da, de.\n";
    expect((await set("locale=zz")).stderr).toBe(spoken);
    expect((await latchkey("account", "create", "P11300001", "--locale", "zz")).stderr).toBe(`--${spoken}`);
    const renamed = await set("name=Store");
    expect(renamed.stdout.split("\n").slice(1)).toEqual(["  name  Store", ""]);
    for (const words of [[], ["locale"], ["=nb"], ["locale=nb", "locale=sv"]])
      expect((await set(...words)).code, words.join(" ")).toBe(2);
    const shown = json(await latchkey("account", "show", "P11200001", "--json"));
    const changed = { sms_daily_budget: 5000, sms_countries: ["NO", "SE"], locale: "nb", jwks: null };
    expect(shown).toMatchObject({ account_id: "P11200001", name: "Store", settings: { country: "NO", ...changed } });
    expect(shown.issuer).toBe("http://localhost:8080/v1/accounts/P11200001");
    expect((await latchkey("account", "show", "P11200001")).stdout).toMatch(/^ {2}sms_daily_budget +5000$/m);
    const server = await startLatchkey(engine, { database });
    const { read } = server.server.core.storage;
    const events = await read
      .selectFrom("audit_events")
      .select(["actor", "context"])
      .where("action", "=", "account.changed")
      .execute();
    expect(events.map(({ actor, context }) => [actor, JSON.parse(context).changed])).toEqual([
      ["command line", ["sms_daily_budget", "sms_countries", "locale", "jwks"]],
      ["command line", ["name"]],
    ]);
    await server.close();
  });

  it("show and set a client by either of its names, never with a secret, and give it another one", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("account", "create", "T11200001");
    const address = "https://shop.example/bye";
    const made = await latchkey(
      ...["client", "create", "T11200001", "--client-id", "web", "--json"],
      ...["--grant-type", "refresh_token", "--post-logout-redirect-uri", address, "--grant-type", "client_credentials"],
      ...["--post-logout-redirect-uri", `${address}/2`],
    );
    const { id, client_secret } = json(made);
    const refused = await latchkey("client", "create", "T11200001", "--grant-type", "password");
    expect([refused.code, refused.stderr]).toEqual([2, expect.stringContaining("Allowed choices are")]);
    const set = (...words: string[]) => latchkey("client", "set", "T11200001", "web", ...words);
    expect((await set("first_party=true", "name=The Shop", "login_uri=null")).stdout.split("\n").slice(1)).toEqual([
      expect.stringMatching(/^ {2}name +The Shop$/),
      expect.stringMatching(/^ {2}login_uri +null$/),
      expect.stringMatching(/^ {2}first_party +true$/),
      "",
    ]);
    for (const [key, word] of [
      ["client_id", "client_id=other"],
      ["callbacks.0", 'callbacks=["http://shop.example"]'],
      ["name", "name=null"],
      ["set_by_account", 'set_by_account=["name"]'],
    ] as const) {
      const { code, stderr } = await set(word, "--json");
      expect([code, JSON.parse(stderr).error.errors[0].path]).toEqual([2, key]);
    }
    const rotated = json(await latchkey("client", "secret", "T11200001", id, "--overlap-seconds", "3600", "--json"));
    expect(rotated).toEqual({ id, client_id: "web", client_secret: expect.any(String), overlap_seconds: 3600 });
    for (const none of ["soon", ""])
      expect((await latchkey("client", "secret", "T11200001", "web", "--overlap-seconds", none)).stderr).toBe(
        "--overlap-seconds must be an integer.\n",
      );
    const show = async () => {
      const [by_name, by_id] = [await latchkey("client", "show", "T11200001", "web"), await showJson()];
      for (const text of [by_name.stdout, JSON.stringify(by_id)])
        for (const secret of [client_secret, rotated.client_secret]) expect(text).not.toContain(secret);
      return by_id;
    };
    const showJson = async () => json(await latchkey("client", "show", "T11200001", id.toUpperCase(), "--json"));
    expect(await show()).toMatchObject({
      ...{ id, client_id: "web", name: "The Shop", first_party: true },
      grant_types: ["refresh_token", "client_credentials"],
      post_logout_redirect_uris: [address, `${address}/2`],
      secrets: [{}, { not_after: expect.any(String) }],
    });
    await latchkey("grant", "create", "T11200001", "web", "--scope", "read:accounts");
    const server = await startLatchkey(engine, { database, public_url: "http://localhost:8080" });
    for (const secret of [client_secret, rotated.client_secret])
      await tokenOf(server, "T11200001", { id, client_id: "web", client_secret: secret });
    const last = await latchkey("client", "secret", "T11200001", "web");
    expect(last.stdout).toMatch(/client_secret {2}\S{43} {3}\(shown once\)\n {2}old secrets {4}are over\n$/);
    expect((await show()).secrets).toHaveLength(1);
    const { read } = server.server.core.storage;
    const events = await read
      .selectFrom("audit_events")
      .select(["actor", "action"])
      .where("entity", "=", id)
      .orderBy("id")
      .execute();
    const actions = ["client.created", "client.changed", "client.secret_rotated", "client.secret_rotated"];
    expect(events.filter(({ actor }) => actor === "command line").map(({ action }) => action)).toEqual(actions);
    await server.close();
  });

  it("list everything there is, in tables that a terminal holds and obeys nothing of", async () => {
    const server = await startLatchkey(engine);
    const { account_id, client, audience } = await createTenant(server);
    const latchkey = openCommands(server.database);
    const name = `Shop \u001b[31m\u202e${"x".repeat(150)}`;
    const times = { created_at: "2026-01-01T00:00:00.000Z", updated_at: "2026-01-01T00:00:00.000Z" };
    const rows = Array.from({ length: 450 }, (_, n) => ({
      ...{ account_id: `P113${String(n).padStart(5, "0")}`, name, settings: "{}", created_by: "x" },
      ...times,
    }));
    await server.server.core.storage.write(
      async ({ db }) => void (await db.insertInto("accounts").values(rows).execute()),
    );
    for (let n = 0; n < 12; n++) {
      const other = await addClient(server, account_id, {}, `${"c".repeat(60)}-${n}`);
      for (const api of ["a", "b"])
        await addGrant(server, account_id, other, `https://${api}.example`, ["orders:read"]);
    }
    for (const [command, count] of [
      ["account list", 451],
      [`client list ${account_id}`, 13],
      [`grant list ${account_id}`, 26],
      [`grant list ${account_id} ${client.id}`, 2],
    ] as const) {
      const listed = json(await latchkey(...command.split(" "), "--json"));
      expect(new Set(listed.map((one: { id?: string; account_id?: string }) => one.id ?? one.account_id)).size).toBe(
        count,
      );
      const { stdout } = await latchkey(...command.split(" "));
      const lines = stdout.trimEnd().split("\n");
      expect(lines.filter((line) => line.length > 100)).toEqual([]);
      expect(lines[0], command).not.toContain("…");
      // biome-ignore lint/suspicious/noControlCharactersInRegex: none of them is to be there.
      expect(stdout).not.toMatch(/[\u0000-\u0009\u000b-\u001f\u202e]/);
      const note = lines.filter((line) => line.startsWith("What ends in …")).length;
      expect(lines.length - note, command).toBe(count + 1);
    }
    const { stdout } = await latchkey("grant", "list", account_id, client.client_id);
    expect(stdout).toMatch(/^audience {34}type {16}scope\n/);
    expect(stdout).toMatch(new RegExp(`^${audience} +any +orders:read orders:write$`, "m"));
    const all = await latchkey("grant", "list", account_id);
    expect(all.stdout).toMatch(new RegExp(`^${client.client_id}  ${audience}  any {17}orders:read ord…$`, "m"));
    await server.close();
  });

  it("warn of a number that another has, and only of that", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("account", "create", "T11200001");
    const create = (...args: string[]) => latchkey("user", "create", "T11200001", ...args);
    expect(json(await create("--phone-number", "40000000", "--json"))).not.toHaveProperty("warnings");
    expect((await create("--phone-number", "40000000", "--type", "company")).stderr).toBe("");
    const people = await create("--phone-number", "+4740000000");
    expect([people.code, people.stderr]).toEqual([
      0,
      "Warning: --phone-number is that of another user of this type too: neither can log in by SMS\n",
    ]);
    const programs = await create("--phone-number", "+4740000000", "--json");
    expect([programs.stderr, json(programs).warnings]).toMatchObject([
      "",
      [{ path: "--phone-number", code: "shared" }],
    ]);
    await database.drop();
  });

  it("warn of a language that nobody writes to a person in, and only of that", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("account", "create", "T11200001", "--locale", "no-NO");
    const create = (...args: string[]) => latchkey("user", "create", "T11200001", ...args);
    expect((await create("--customer-id", "1", "--locale", "nn-NO")).stderr).toBe("");
    const { code, stderr } = await create("--customer-id", "2", "--locale", "fr");
    expect([code, stderr]).toEqual([
      0,
      "Warning: --locale is no language that messages are written in (en, nb, sv, da, de): they use the account's\n",
    ]);
    await database.drop();
  });

  it("say after a grant which setting has a client's requests mean its API, where they name none", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("account", "create", "T11200001");
    await latchkey("client", "create", "T11200001", "--client-id", "web");
    const grant = async (...args: string[]) =>
      (await latchkey("grant", "create", "T11200001", "web", ...args, "--scope", "a:b")).stdout;
    const setting = ["T11200001", "web", "default_audience=https://api.shop.example"];
    expect(await grant("--audience", "https://api.shop.example")).toContain(`latchkey client set ${setting.join(" ")}`);
    expect(await grant("--audience", "https://api.shop.example", "--type", "password")).not.toContain("client set");
    expect(await grant(), "the account API").not.toContain("client set");
    expect((await latchkey("client", "set", ...setting)).code).toBe(0);
    expect(await grant("--audience", "https://stock.example"), "it has one").not.toContain("client set");
    await database.drop();
  });

  it("say by example how a country and a language are written, and what whoever was erased goes by", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    const account = (...args: string[]) => latchkey("account", "create", "T11200002", ...args);
    expect((await account("--country", "Norway")).stderr).toBe("--country must match ^[A-Z]{2}$, such as NO.\n");
    expect((await account()).code).toBe(0);
    const gone = await latchkey("user", "erase", "T11200002", "nobody@example.com");
    expect(gone.stderr).toMatch(/^There is no user nobody@example.com here. Whoever was erased goes by their id alone/);
    await database.drop();
  });

  it("warn of scopes that nothing takes, and of commas", async () => {
    const database = await createTestDatabase(engine);
    const latchkey = openCommands(database);
    await latchkey("account", "create", "T11200001");
    await latchkey("client", "create", "T11200001", "--client-id", "web");
    const grant = (...args: string[]) => latchkey("grant", "create", "T11200001", "web", ...args);
    expect(await grant("--scope", "admin:accounts", "accounts:auth:users", "openid")).toMatchObject({
      code: 0,
      stderr: "",
    });
    const typo = await grant("--type", "password", "--scope", "admin:everything", "orders:read");
    expect([typo.code, typo.stderr]).toEqual([
      0,
      [
        "Warning: --scope admin:everything is taken by no operation of the account API; did you mean admin:accounts or admin:customers?",
        "Warning: --scope orders:read is taken by no operation of the account API",
        "",
      ].join("\n"),
    ]);
    const elsewhere = ["--audience", "https://api.shop.example", "--scope"];
    expect((await grant(...elsewhere, "orders:read")).stderr).toBe("");
    const comma = await grant(...elsewhere, "orders:read,orders:write", "--add", "--json");
    expect([comma.code, comma.stderr, json(comma).warnings]).toMatchObject([
      0,
      "",
      [{ path: "--scope", code: "comma" }],
    ]);
    const staff = ["--type", "account_user", "--email", "ada@example.com", "--scope", "read:acounts"];
    const user = json(await latchkey("user", "create", "T11200001", ...staff, "--json"));
    expect(user.warnings).toMatchObject([{ path: "--scope", code: "unknown" }]);
    const given = 'public_client_grants={"https://api.shop.example":["a,b"]}';
    const account = json(await latchkey("account", "set", "T11200001", given, "--json"));
    expect(account.warnings).toMatchObject([{ path: "public_client_grants", code: "comma" }]);
    await database.drop();
  });
});

/** One table for all commands: 0 done, 1 could not be done, 2 wrongly asked; and a help that every command has. */
import { expect, it } from "vitest";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { MASTER_KEY } from "../support/latchkey.ts";
import { cli } from "../support/process.ts";

describeOnBothEngines("every command", (engine) => {
  it("ends with 0 where it did it, 1 where it could not and 2 where it was wrongly asked", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    const P = "P11200001";
    for (const [wanted, ...args] of [
      [0, "migrate"],
      [0, "account", "create", P],
      [1, "account", "create", P],
      [2, "account", "create", "X123"],
      [2, "account", "create", "P11200002", "--country", "Norway"],
      [2, "account", "create", "P11200002", "--signing-alg", "HS256"],
      [1, "account", "show", "P11200002"],
      [2, "account", "set", P, "sms_daily_budgt=5"],
      [2, "account", "set", P, "sms_daily_budget"],
      [2, "account"],
      [2, "acount", "list"],
      [0, "client", "create", P, "--client-id", "web"],
      [1, "client", "create", P, "--client-id", "web"],
      [2, "client", "create", P, "--grant-type", "refresh"],
      [2, "client", "secret", P, "web", "--overlap-seconds", "1h"],
      [1, "client", "set", P, "wbe", "name=Web"],
      [0, "grant", "create", P, "web", "--scope", "a:b"],
      [1, "grant", "create", P, "web", "--scope", "a:b"],
      [1, "grant", "remove", P, "web", "--scope", "a:c"],
      [2, "user", "create", P],
      [0, "user", "create", P, "--email", "ada@example.com", "--type", "account_user"],
      [1, "user", "create", P, "--email", "ada@example.com", "--type", "account_user"],
      [1, "user", "erase", P, "grace@example.com"],
      [0, "keys", "rotate", P],
      [1, "keys", "rotate", "P11200002"],
      [1, "export", P, "--out", "/no/such/folder/a.json"],
      [2, "export", P, "--json"],
      [1, "import", "/no/such/file.json"],
      [2, "import", "<file>"],
      [2, "import"],
    ] as const) {
      const { code, stderr } = await cli(env, ...args);
      expect([args.join(" "), code], stderr).toEqual([args.join(" "), wanted]);
    }
    for (const command of ["doctor", "keys reseal", "serve"])
      expect((await cli({ ...env, MASTER_KEY: "short" }, ...command.split(" "))).code, command).toBe(2);
    await database.drop();
  }, 180_000);

  it("that imports says what to name where a file is not there, or only its placeholder", async () => {
    const database = await createTestDatabase(engine);
    const env = { DATABASE_URL: database.database_url, MASTER_KEY };
    const to_name = "a file that latchkey export wrote, or one for moving in, or - for standard input";
    const placeholder = await cli(env, "import", "<file>");
    expect([placeholder.code, placeholder.stderr]).toEqual([
      2,
      expect.stringContaining(`<file> stands for a name: name ${to_name}.\n`),
    ]);
    const missing = await cli(env, "import", "gone.json");
    expect([missing.code, missing.stderr]).toEqual([1, `gone.json is not there: name ${to_name}.\n`]);
    await database.drop();
  });

  it("is explained by help with its words, in all spellings", async () => {
    const help = async (...words: string[]) => {
      const { code, stdout, stderr } = await cli({}, ...words);
      return [code, stdout.split("\n")[0], stderr];
    };
    for (const command of ["account set", "grant remove", "keys rotate", "serve"]) {
      const [first = "", ...rest] = command.split(" ");
      const usage = [0, expect.stringMatching(new RegExp(`^Usage: latchkey ${command} \\[`)), ""];
      expect(await help("help", ...command.split(" "))).toEqual(usage);
      expect(await help(first, ...rest, "--help")).toEqual(usage);
      if (rest.length > 0) expect(await help(first, "help", ...rest)).toEqual(usage);
    }
    for (const words of ["help account", "account help", "account --help"])
      expect(await help(...words.split(" "))).toEqual([0, "Usage: latchkey account [options] [command]", ""]);
    expect(await help("help")).toEqual([0, "Usage: latchkey [options] [command]", ""]);
    for (const words of ["help acount", "help account st", "account help st", "help migrate now"])
      expect(await help(...words.split(" "))).toEqual([2, "", expect.stringMatching(/^error: unknown command '/)]);
  }, 60_000);
});

/** What the API refuses, the command line refuses too, in the words that were typed; and it writes nothing. */
import { describe, expect, it } from "vitest";
import { createTestDatabase } from "../support/engines.ts";
import { MASTER_KEY, startLatchkey } from "../support/latchkey.ts";
import { cli } from "../support/process.ts";

describe("commands that create", () => {
  it("refuse what the API refuses, name the flag, and write nothing", async () => {
    const database = await createTestDatabase("sqlite");
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
      ["--scope", "grant", "create", "P112", "web", "--scope", "a b"],
      ["--email", "user", "create", "P112"],
      ["--email", "user", "create", "P112", "--email", "ada"],
      ["--email", "user", "create", "P112", "--type", "account_user", "--customer-id", "1"],
      ["--phone-number", "user", "create", "P112", "--phone-number", "12x45"],
      ["--customer-id", "user", "create", "P112", "--customer-id", "a/b"],
      ["--locale", "user", "create", "P112", "--email", "ada@example.com", "--locale", "no such"],
    ];
    for (const [flag, ...command] of refused) {
      const args = command.map((word) => (word === "P112" ? "P11200001" : word));
      const { code, stderr } = await cli(env, ...args);
      expect([code, stderr.split(" ")[0]], `${command.join(" ")}: ${stderr}`).toEqual([1, flag]);
    }
    const json = JSON.parse((await cli(env, "user", "create", "P11200001", "--email", "ada", "--json")).stderr);
    expect(json.error).toMatchObject({ code: "invalid_request", errors: [{ path: "--email" }] });
    const latchkey = await startLatchkey("sqlite", { database });
    const { read } = latchkey.server.core.storage;
    const count = async (table: "accounts" | "clients" | "grants" | "users") =>
      (await read.selectFrom(table).select("account_id").where("account_id", "like", "P%").execute()).length;
    expect(await Promise.all((["accounts", "clients", "grants", "users"] as const).map(count))).toEqual([1, 1, 0, 0]);
    await latchkey.close();
  }, 120_000);
});

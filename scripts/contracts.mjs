/**
 * Prints openapi.json, config.schema.json and docs/operations.md from the code, and the figures of docs/scale.md from
 * the committed run of the bench. `--check` compares instead of writing and exits with 1 when one of them differs.
 */
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { operationsPage } from "./operations.mjs";
import { withFigures } from "./scale-table.mjs";

const root = fileURLToPath(new URL("..", import.meta.url));
const { startServer } = await import("../dist/start-server.js");
const { readConfig, variables } = await import("../dist/config.js");
const { AccountSettings } = await import("../dist/directory/accounts/settings.js");
const { ClientSettings } = await import("../dist/directory/clients/settings.js");

const folder = mkdtempSync(join(tmpdir(), "latchkey-contracts-"));
const config = readConfig({
  DATABASE_URL: `sqlite:${folder}/db`,
  PORT: "0",
  PUBLIC_URL: "http://localhost:8080",
  DEMO: "0",
  LOG_LEVEL: "silent",
});
const server = await startServer(config);
const openapi = (await server.app.inject("/openapi.json")).json();
await server.stop();
rmSync(folder, { recursive: true });

const schema = {
  $schema: "https://json-schema.org/draft/2020-12/schema",
  title: "Latchkey's settings",
  description:
    "Variables of the process, settings of an account (PATCH auth/settings) and of a client (PATCH auth/clients/{id}).",
  $defs: {
    environment: {
      type: "object",
      properties: Object.fromEntries(
        variables.map(({ name, default: value, meaning }) => [
          name,
          { type: "string", default: value, description: meaning },
        ]),
      ),
    },
    account: AccountSettings,
    client: ClientSettings,
  },
};

const read = (name) => readFileSync(join(root, name), "utf8");
let differs = false;
for (const [name, text] of [
  ["openapi.json", `${JSON.stringify(openapi, null, 2)}\n`],
  ["config.schema.json", `${JSON.stringify(schema, null, 2)}\n`],
  ["docs/operations.md", operationsPage(openapi)],
  ["docs/scale.md", withFigures(read("docs/scale.md"), JSON.parse(read("docs/proof/bench.json")))],
]) {
  if (!process.argv.includes("--check")) writeFileSync(join(root, name), text);
  else if (read(name) !== text) {
    console.error(`${name} differs from what it is printed from; run \`node scripts/contracts.mjs\``);
    differs = true;
  }
}
process.exit(differs ? 1 : 0);

import { Command } from "commander";
import { readConfig } from "../config.ts";
import { migrate } from "../storage/migrate.ts";
import { fail, type Output, print, tellWait } from "./run.ts";

export function migrateCommand(): Command {
  return new Command("migrate")
    .description("Bring the database to this version's schema. The server does so at its start, too.")
    .option("--json", "print JSON")
    .action(async (output: Output) => {
      try {
        const applied = await migrate(readConfig(process.env).database_url, tellWait(output));
        print({ applied }, output, applied.length > 0 ? applied.map((name) => `applied ${name}`) : ["nothing to do"]);
      } catch (error) {
        fail(error, output);
      }
    });
}

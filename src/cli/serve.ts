import { Command } from "commander";
import { serve } from "../server.ts";
import { fail, type Output } from "./run.ts";

export function serveCommand(): Command {
  return new Command("serve")
    .description("Run the server. Settings come from the environment.")
    .option("--json", "print JSON alone: the log, which is JSON as it is, and what stops the start")
    .action((options: Output) => serve({ json: options.json === true }, (error) => fail(error, options)));
}

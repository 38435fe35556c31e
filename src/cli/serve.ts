import { Command } from "commander";
import { fail, type Output } from "./run.ts";

export function serveCommand(): Command {
  return new Command("serve")
    .description("Run the server. Settings come from the environment.")
    .option("--json", "print JSON alone: the log, which is JSON as it is, and what stops the start")
    .action(async (options: Output) => {
      const { serve } = await import("../serve.ts");
      await serve({ json: options.json === true }, (error) => fail(error, options));
    });
}

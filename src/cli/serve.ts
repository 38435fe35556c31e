import { Command } from "commander";
import { serve } from "../server.ts";

export function serveCommand(): Command {
  return new Command("serve").description("Run the server. Settings come from the environment.").action(() => serve());
}

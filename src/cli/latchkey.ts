#!/usr/bin/env node
/**
 * The command line: one file a command, over the same database and rooms as the server. Commands print for people, and with
 * `--json` for programs. Exit codes: 0 done, 1 could not be done, 2 wrongly asked (`exitCodeOf`).
 */
import { readFileSync } from "node:fs";
import { Command } from "commander";
import { accountCommand } from "./account.ts";
import { clientCommand } from "./client.ts";
import { doctorCommand } from "./doctor.ts";
import { exportCommand } from "./export.ts";
import { grantCommand } from "./grant.ts";
import { helpCommand } from "./help.ts";
import { importCommand } from "./import.ts";
import { keysCommand } from "./keys.ts";
import { migrateCommand } from "./migrate.ts";
import { serveCommand } from "./serve.ts";
import { userCommand } from "./user.ts";

const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** Whoever asks for JSON gets it for a wrong usage as well. */
const json = process.argv.includes("--json");
const usage = (text: string) => ({ code: "invalid_usage", message: text.trim().replace(/^error: /, "") });

const program = new Command("latchkey")
  .description("Self-hosted, multi-tenant, passwordless authorization server.")
  .version(version)
  .showHelpAfterError(json ? false : "(add --help for usage)")
  .showSuggestionAfterError()
  .configureOutput({ outputError: (text, write) => write(json ? `${JSON.stringify({ error: usage(text) })}\n` : text) })
  .exitOverride((error) => process.exit(error.exitCode === 0 ? 0 : 2));

for (const command of [
  serveCommand,
  migrateCommand,
  doctorCommand,
  accountCommand,
  clientCommand,
  grantCommand,
  userCommand,
  keysCommand,
  importCommand,
  exportCommand,
]) {
  program.addCommand(inheriting(command(), program));
}

/** Exit codes, hints and output of the parent, all the way down. */
function inheriting(command: Command, parent: Command): Command {
  command.copyInheritedSettings(parent);
  if (command.commands.length > 0) command.addCommand(helpCommand(command));
  for (const child of command.commands) inheriting(child, command);
  return command;
}

program.addCommand(inheriting(helpCommand(program), program));

await program.parseAsync();

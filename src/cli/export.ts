import { Command } from "commander";
import { readAccount, type Write } from "./portable/read-account.ts";
import { writeOut, writeWhole } from "./portable/write-out.ts";
import { account_argument, countLines, findNamedAccount, type Output, print, withCore } from "./run.ts";

interface Options extends Output {
  readonly out?: string;
}

const NO_FILE = "--json is about the file of --out: name one, or leave --json out, since an account is JSON already.";

export function exportCommand(): Command {
  return new Command("export")
    .description(
      "Write an account to a file that `latchkey import` reads on another server. It holds digests and sealed keys.",
    )
    .argument(...account_argument)
    .option("--out <file>", "where to; default: standard output")
    .option("--json", "print JSON about what was written (with --out)")
    .action((name: string, options: Options, command: Command) => {
      if (options.json && options.out === undefined) command.error(`error: ${NO_FILE}`);
      return withCore(options, async (core) => {
        const named = await findNamedAccount(core.directory, name);
        const reading = (write: Write) => readAccount(core, named.account_id, write);
        if (options.out === undefined) {
          await reading(writeWhole);
          return;
        }
        const { account_id, key_versions, rows } = await writeOut(options.out, reading);
        print({ account_id, file: options.out, key_versions, rows }, options, [
          `Account ${account_id} is in ${options.out}`,
          ...countLines(rows),
          `  The other server needs the master key ${key_versions.join(", ")} among its own.`,
        ]);
      });
    });
}

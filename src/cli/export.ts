import { writeFileSync } from "node:fs";
import { Command } from "commander";
import { adviceOn } from "../advice.ts";
import { rowsOf } from "./portable/portable.ts";
import { readAccount } from "./portable/read-account.ts";
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
        const portable = await readAccount(core, (await findNamedAccount(core.directory, name)).account_id);
        const text = `${JSON.stringify(portable, null, 1)}\n`;
        if (options.out === undefined) {
          process.stdout.write(text);
          return;
        }
        writeOut(options.out, text);
        const { account_id, key_versions } = portable;
        const rows = rowsOf(portable);
        print({ account_id, file: options.out, key_versions, rows }, options, [
          `Account ${account_id} is in ${options.out}`,
          ...countLines(rows),
          `  The other server needs the master key ${key_versions.join(", ")} among its own.`,
        ]);
      });
    });
}

function writeOut(file: string, text: string): void {
  try {
    writeFileSync(file, text, { mode: 0o600, flag: "wx" });
  } catch (error) {
    throw new Error(`--out ${adviceOn(Object.assign(error as Error, { path: file }))}`);
  }
}

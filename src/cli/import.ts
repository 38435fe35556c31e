import { createReadStream } from "node:fs";
import { Command } from "commander";
import type { Config } from "../config.ts";
import { refuse, refuseField } from "../errors.ts";
import { masterKeys } from "../secrets/master-keys.ts";
import { checkSchema } from "./check-schema.ts";
import { carryOut } from "./import/carry-out.ts";
import { readPlan } from "./import/read-plan.ts";
import { checkPortable } from "./portable/check-portable.ts";
import { PortableAccount, rowsOf } from "./portable/portable.ts";
import { readDocument } from "./portable/read-document.ts";
import { tryAccount, writeAccount } from "./portable/write-account.ts";
import { countLines, type Output, print, type Standing, say, withCore } from "./run.ts";

interface Options extends Output {
  readonly dryRun?: boolean;
}

const NOT_INSTALLED = "Nothing is installed here yet: an import begins a new installation.";

export function importCommand(): Command {
  return new Command("import")
    .description("Read an exported account, or clients, grants, roles and users of another system.")
    .argument("<file>", "JSON; - for standard input")
    .option("--dry-run", "say whether the file can be imported, and write nothing")
    .option("--json", "print JSON")
    .action((file: string, options: Options, command: Command) => {
      if (/^<.*>$/.test(file)) command.error(`error: ${file} stands for a name: ${TO_NAME}.`);
      let document: Record<string, unknown> = {};
      const read = async ({ is_new }: Standing) => {
        if (is_new && !options.json) say(NOT_INSTALLED, options);
        document = objectOf(await readDocument(readIn(file)));
      };
      const judge = async ({ public_url, master_keys }: Config) => {
        const versions = master_keys.length > 0 ? masterKeys(master_keys).versions : [];
        if (document.format === undefined) await readPlan(document, public_url);
        else checkPortable(await checkSchema(PortableAccount, document), versions);
      };
      return withCore(
        options,
        async (core, { is_new }) => {
          const news = is_new ? { new_installation: true } : {};
          if (document.format !== undefined) {
            const portable = await checkSchema(PortableAccount, document);
            await (options.dryRun ? tryAccount : writeAccount)(core, portable);
            const { account_id } = portable;
            const rows = rowsOf(portable);
            print({ account_id, imported: !options.dryRun, ...news, rows }, options, [
              options.dryRun
                ? `Account ${account_id} can be imported.`
                : `Account ${account_id} is here, with all that it had.`,
              ...countLines(rows),
            ]);
            return;
          }
          const plan = await readPlan(document, core.directory.public_url, core.directory);
          if (options.dryRun) {
            const { account_id } = plan.account;
            print({ account_id, imported: false, ...news }, options, ["The file can be imported."]);
            return;
          }
          const result = await carryOut(core, plan, progressOf(options));
          print({ ...result, imported: true, ...news }, options, [
            `Account ${result.account_id}`,
            ...countLines(result.created, "created"),
            `  ${result.kept} were here already and stay as they are`,
          ]);
        },
        {
          flags: { "the file": file },
          of_file: true,
          founds: true,
          dry: options.dryRun,
          before: read,
          founding: judge,
        },
      );
    });
}

async function* readIn(file: string): AsyncGenerator<Buffer> {
  try {
    yield* file === "-" ? process.stdin : createReadStream(file);
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT")
      throw refuse("not_found", { message: `${file} is not there: ${TO_NAME}.` });
    // A folder opens like a file, and what refuses to be read then does not know its own name.
    throw Object.assign(error as Error, { path: file === "-" ? "standard input" : file });
  }
}

const TO_NAME = "name a file that latchkey export wrote, or one for moving in, or - for standard input";

function objectOf(document: unknown): Record<string, unknown> {
  if (typeof document === "object" && document !== null && !Array.isArray(document))
    return document as Record<string, unknown>;
  throw refuseField("the file", "type", "must hold one JSON object");
}

/** A line that keeps up with the work, where a person is looking. */
function progressOf({ json }: Output): (done: number, of: number) => void {
  if (json || !process.stderr.isTTY) return () => {};
  return (done, of) => {
    process.stderr.write(`\r${done} of ${of}${done === of ? "\n" : ""}`);
  };
}

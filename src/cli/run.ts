import { adviceOn } from "../advice.ts";
import { type Config, ConfigError, readConfig } from "../config.ts";
import { type Account, readAccountId } from "../directory/accounts/account.ts";
import { findAccount } from "../directory/accounts/find-account.ts";
import type { Actor, Directory } from "../directory/directory.ts";
import { Refusal } from "../errors.ts";
import { malformed } from "../http/error-reply.ts";
import { type Core, openCore } from "../server.ts";

/** Who a command is, in the audit trail. */
export const actor: Actor = { id: "command line", context: {} };

export interface Output {
  readonly json?: boolean;
}

/** Prints a result: for programs as JSON, for people as the lines they want to read. */
export function print(result: object, { json }: Output, lines: readonly string[]): void {
  process.stdout.write(json ? `${JSON.stringify(result)}\n` : `${lines.join("\n")}\n`);
}

/** The account that a command names, in either form. @throws 400 invalid_request, 404 not_found. */
export const findNamedAccount = async (directory: Directory, oid: string): Promise<Account> =>
  findAccount(directory, readAccountId(oid));

/** What somebody types for a field that the API has. */
export type Flags = Readonly<Record<string, string>>;

/** Runs `work` over the database that the environment names, beside a server if one runs. */
export async function withCore(
  output: Output,
  work: (core: Core, config: Config) => Promise<void>,
  flags: Flags = {},
): Promise<void> {
  try {
    const config = readConfig(process.env);
    const core = await openCore(config, { exclusive: false });
    try {
      await work(core, config);
    } finally {
      await core.close();
    }
  } catch (error) {
    fail(inFlags(error, flags), output);
  }
}

/** A refusal that names what was typed. */
function inFlags(error: unknown, flags: Flags): unknown {
  if (!(error instanceof Refusal) || !error.options.errors) return error;
  const typed = error.options.errors.flatMap((fault) => {
    const field = fault.path.split(".").find((step) => Object.hasOwn(flags, step));
    return field === undefined ? [] : [{ ...fault, path: flags[field] ?? fault.path }];
  });
  return typed.length === error.options.errors.length ? malformed(typed) : error;
}

export function fail(error: unknown, { json }: Output): void {
  process.exitCode = error instanceof ConfigError ? 2 : 1;
  const message = error instanceof Refusal ? error.message : adviceOn(error);
  const code = error instanceof Refusal ? error.code : error instanceof ConfigError ? "invalid_settings" : "failed";
  const errors = error instanceof Refusal ? error.options.errors : undefined;
  process.stderr.write(
    json ? `${JSON.stringify({ error: { code, message, ...(errors ? { errors } : {}) } })}\n` : `${message}\n`,
  );
}

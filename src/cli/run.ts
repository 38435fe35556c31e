import { existsSync } from "node:fs";
import { resolve } from "node:path";
import { adviceOn } from "../advice.ts";
import { didYouMean } from "../config/misspelled.ts";
import { type Config, ConfigError, type Environment, isSqlite, readConfig, sqlitePath } from "../config.ts";
import { type Core, openCore } from "../core.ts";
import { type Account, readAccountId } from "../directory/accounts/account.ts";
import { findAccount } from "../directory/accounts/find-account.ts";
import type { Client } from "../directory/clients/client.ts";
import { listClients, lookUpClient } from "../directory/clients/find-client.ts";
import type { Actor, Directory } from "../directory/directory.ts";
import { type Fault, Refusal, refuse, unlessRefused } from "../errors.ts";
import { malformed } from "../http/error-reply.ts";
import { smallUuid } from "../secrets/uuid.ts";
import { migrationNames, type OnWait, pendingMigrations } from "../storage/migrate.ts";
import type { Storage, Transaction } from "../storage/storage.ts";
import { errorOfTrial, openTrial, type Trial } from "./trial.ts";

/** Who a command is, in the audit trail. */
export const actor: Actor = { id: "command line", context: {} };

export interface Output {
  readonly json?: boolean;
}

// Whoever writes hears of it as well.
process.stdout.on("error", () => {});

/** Writes to standard output, as fast as its reader takes it. @returns whether there is one. */
export function writeStandard(text: string): Promise<boolean> {
  return new Promise((resolve, reject) => {
    process.stdout.write(text, (error) => {
      if (!error) return resolve(true);
      if ((error as NodeJS.ErrnoException).code === "EPIPE") return resolve(false);
      reject(Object.assign(error, { path: "standard output" }));
    });
  });
}

/** Says something on standard output. That nobody reads it any more is no failure: what was done is done. */
export function say(text: string, output: Output): void {
  writeStandard(`${text}\n`).catch((error) => fail(error, output));
}

/**
 * Prints a result: for programs as JSON, for people as the lines they want to read. `warnings` speak of what was done as it
 * was asked for, and is likely not what was meant.
 */
export function print(result: object, output: Output, lines: readonly string[], warnings: readonly Fault[] = []): void {
  const told = warnings.length > 0 ? { ...result, warnings } : result;
  say(output.json ? JSON.stringify(told) : lines.join("\n"), output);
  if (output.json) return;
  for (const { path, message } of warnings) process.stderr.write(`Warning: ${path} ${message}\n`);
}

/** Says on standard error why a command takes its time; for programs in a line of JSON. */
export function tellWait({ json }: Output): OnWait {
  const message = "waits for a table that somebody is using";
  return (migration) =>
    process.stderr.write(
      json ? `${JSON.stringify({ waiting: { migration, message } })}\n` : `${migration} ${message}\n`,
    );
}

/** The account that a command is about, as its help explains it. */
export const account_argument = ["<account_id>", "P or T and eight digits; with three digits, an owner"] as const;

/** Lines of a table of counts: what there is none of is left out, unless `done` says what became of it. */
export function countLines(counts: Readonly<Record<string, number>>, done?: string): readonly string[] {
  const shown = Object.entries(counts).filter(([, count]) => done !== undefined || count > 0);
  const width = Math.max(22, ...shown.map(([name]) => name.length));
  return shown.map(([name, count]) => `  ${name.padEnd(width)} ${count}${done === undefined ? "" : ` ${done}`}`);
}

/** The account that a command names, in either form. @throws 400 invalid_request, 404 not_found. */
export async function findNamedAccount(directory: Directory, oid: string): Promise<Account> {
  const account_id = readAccountId(oid);
  const account = await findAccount(directory, account_id).catch(unlessRefused("not_found"));
  if (account) return account;
  const remedy = "Create it with latchkey account create, or check DATABASE_URL.";
  throw refuse("not_found", { message: `There is no account ${account_id} here. ${remedy}` });
}

/** The client of an account that a command names, as its help explains it. */
export const client_argument = ["<client>", "client_id or uuid"] as const;

/** The client that a command names, in either form. @throws 404 not_found. */
export async function findNamedClient(directory: Directory, account_id: string, name: string): Promise<Client> {
  const client = await lookUpClient(directory, account_id, smallUuid(name));
  if (client) return client;
  const names: string[] = [];
  for await (const page of listClients(directory, account_id)) names.push(...page.map(({ client_id }) => client_id));
  const remedy = `latchkey client list ${account_id} says which there are.`;
  const message = `There is no client ${name} in ${account_id}${didYouMean(name, names)}: ${remedy}`;
  throw refuse("not_found", { message });
}

/** Thrown at the end of a rehearsal, to undo it. */
const undone = Symbol("undone");

/** Does all that `work` does, and undoes it. @returns what it came to. */
export async function rehearse<T>(storage: Storage, work: (tx: Transaction) => Promise<T>): Promise<T> {
  let result: T | undefined;
  const trial = storage.write(async (tx) => {
    result = await work(tx);
    throw undone;
  });
  await trial.catch((error: unknown) => {
    if (error !== undone) throw error;
  });
  return result as T;
}

/** What somebody types for a field that the API has. */
export type Flags = Readonly<Record<string, string>>;

export interface Terms {
  readonly flags?: Flags;
  /** A new installation may begin with this command. */
  readonly founds?: boolean;
  /** What is looked at before anything lasting is opened or made. @throws what can be refused without a database. */
  readonly before?: (standing: Standing) => Promise<unknown>;
  /** The same, where a new installation is about to begin. */
  readonly founding?: (settings: Config) => Promise<unknown>;
  /** What is refused stands in a file, which is rightly asked about. */
  readonly of_file?: boolean;
  /** The command writes nothing. Where nothing is installed yet, it works over a database that is thrown away. */
  readonly dry?: boolean | undefined;
}

export interface Standing {
  /** Nothing is installed here yet. */
  readonly is_new: boolean;
}

/** Runs `work` over the database that the environment names, beside a server if one runs. */
export async function withCore(
  output: Output,
  work: (core: Core, standing: Standing) => Promise<void>,
  { flags = {}, founds = false, dry = false, of_file = false, before, founding }: Terms = {},
): Promise<void> {
  let trial: Trial | undefined;
  try {
    const settings = readConfig(process.env, { generate: false });
    if (dry) trial = await openTrial(process.env);
    await before?.({ is_new: trial?.is_new ?? false });
    const is_new = trial?.is_new ?? (founds && (await isNothingThere(settings)));
    if (is_new && !trial) await founding?.(settings);
    const config = trial?.config ?? (founds ? readConfig(process.env) : await readStanding(process.env));
    if (is_new && !trial && !output.json) process.stderr.write(`A new installation begins in ${placeOf(config)}.\n`);
    const core = await openCore(config, { exclusive: false, onWait: tellWait(output) });
    try {
      await work(core, { is_new });
    } finally {
      await core.close();
    }
  } catch (error) {
    fail(inFlags(trial?.is_new ? errorOfTrial(error) : error, flags), output, of_file);
  } finally {
    trial?.end();
  }
}

const isNothingThere = async ({ database_url }: Config): Promise<boolean> =>
  (await pendingMigrations(database_url)).length === migrationNames().length;

/** Where an installation lies, as its operator knows it: an address may hold a password. */
const placeOf = ({ database_url }: Config): string =>
  isSqlite(database_url) ? resolve(sqlitePath(database_url)) : "the database that DATABASE_URL names";

/** The settings of an installation that is there: a command that only adds to one makes none by mistake. */
async function readStanding(env: Environment): Promise<Config> {
  const config = readConfig(env, { generate: false });
  const { database_url } = config;
  if (!(await isNothingThere(config))) return config;
  const gone = isSqlite(database_url) && !existsSync(sqlitePath(database_url));
  const named = gone ? `${sqlitePath(database_url)}, which is not there` : "a database in which nothing is installed";
  const begin = "A new installation begins with latchkey serve, migrate, account create or import.";
  throw new ConfigError([`DATABASE_URL names ${named}. Is this the server's environment, and its folder? ${begin}`]);
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

/** So many faults are spelled out to a person; programs get all of them. */
const SPELLED_OUT = 100;

function linesOf(faults: readonly Fault[]): string {
  const more = faults.length - SPELLED_OUT;
  const said = faults.slice(0, SPELLED_OUT).map(({ path, message }) => `${path} ${message}`);
  return [...said, ...(more > 0 ? [`and ${more} more, which --json names`] : [])].join("\n");
}

/** An operator may know what a caller of the API may not: why the database does not answer. */
function sentenceOf(error: unknown): string {
  const told = error instanceof Refusal && !(error.code === "temporarily_unavailable" && error.options.cause);
  return told ? error.message : adviceOn(error);
}

/** Faults of a value with what is there, not with its form. */
const STANDING: ReadonlySet<string> = new Set(["taken", "too_many", "ambiguous", "not_held"]);

/** 2 for what was wrongly asked, whatever is there: settings, and values that are refused by their form. 1 for all else. */
function exitCodeOf(error: unknown, of_file: boolean): number {
  if (error instanceof ConfigError) return 2;
  if (of_file || !(error instanceof Refusal) || error.code !== "invalid_request") return 1;
  return error.options.errors?.some(({ code }) => STANDING.has(code)) ? 1 : 2;
}

export function fail(error: unknown, { json }: Output, of_file = false): void {
  process.exitCode = exitCodeOf(error, of_file);
  const message = sentenceOf(error);
  const code = error instanceof Refusal ? error.code : error instanceof ConfigError ? "invalid_settings" : "failed";
  const errors = error instanceof Refusal ? error.options.errors : undefined;
  const text = errors && errors.length > 3 ? linesOf(errors) : message;
  process.stderr.write(
    json ? `${JSON.stringify({ error: { code, message, ...(errors ? { errors } : {}) } })}\n` : `${text}\n`,
  );
}

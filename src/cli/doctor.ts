import { existsSync, realpathSync } from "node:fs";
import { dirname, resolve } from "node:path";
import { Command } from "commander";
import { sql } from "kysely";
import { adviceOn } from "../advice.ts";
import { settingsCheck } from "../check-settings.ts";
import { type Config, isLoopbackUrl, isSqlite, readConfig, sqlitePath } from "../config.ts";
import { encryptionFor, faultCode } from "../delivery/smtp.ts";
import { masterKeys } from "../secrets/master-keys.ts";
import { reveal } from "../secrets/secret.ts";
import { migrationNames, type Survey, surveyMigrations } from "../storage/migrate.ts";
import { openStorage } from "../storage/open.ts";
import type { Storage } from "../storage/storage.ts";
import { askCollector } from "../telemetry/tracing.ts";
import { checkMasterKeys } from "../tokens/keys/check-master-keys.ts";
import { formerAddresses } from "./former-addresses.ts";
import { fail, type Output, print, rehearse } from "./run.ts";

interface Finding {
  readonly check: string;
  readonly state: "ok" | "warning" | "failed";
  readonly message: string;
}

export function doctorCommand(): Command {
  return new Command("doctor")
    .description("Look at the settings, the database and the mail server, and say what to do.")
    .option("--json", "print JSON")
    .action(async (output: Output) => {
      try {
        const check = await settingsCheck(process.env);
        const findings = await examine(readConfig(process.env, { generate: false, check }));
        const marks = { ok: "ok     ", warning: "WARNING", failed: "FAILED " };
        print(
          { findings },
          output,
          findings.map(({ check, state, message }) => `${marks[state]}  ${check}: ${message}`),
        );
        if (findings.some(({ state }) => state === "failed")) process.exitCode = 1;
      } catch (error) {
        fail(error, output);
      }
    });
}

async function examine(config: Config): Promise<Finding[]> {
  return [
    keyFinding(config),
    addressFinding(config),
    ...(await databaseFindings(config)),
    await mailFinding(config),
    config.sms_url === null
      ? { check: "SMS", state: "warning", message: "SMS_URL is not set; production accounts cannot send SMS." }
      : { check: "SMS", state: "ok", message: "a provider is set." },
    metricsFinding(config),
    ...(await traceFindings(config)),
  ];
}

function keyFinding({ master_key_file, master_keys, database_url }: Config): Finding {
  const check = "master key";
  if (master_keys.length === 0)
    return { check, state: "warning", message: "there is none yet; the first start makes one." };
  const beside =
    master_key_file !== null &&
    isSqlite(database_url) &&
    folderOf(master_key_file) === folderOf(sqlitePath(database_url));
  if (!beside) return { check, state: "ok", message: `${master_keys.length} version(s).` };
  const message = `${master_key_file} lies beside the database, so a copy of the folder opens everything. Move it elsewhere and set MASTER_KEY_FILE.`;
  return { check, state: "warning", message };
}

/** Where a file really is, or is going to be. */
function folderOf(path: string): string {
  if (existsSync(path)) return dirname(realpathSync(path));
  const folder = dirname(path);
  return existsSync(folder) ? realpathSync(folder) : resolve(folder);
}

function addressFinding({ public_url, host }: Config): Finding {
  const check = "address";
  if (!isLoopbackUrl(public_url)) return { check, state: "ok", message: `${public_url}, listening on ${host}.` };
  return {
    check,
    state: "warning",
    message: `${public_url} is reachable from this machine only. Set PUBLIC_URL to serve others, before clients and people use this address.`,
  };
}

async function databaseFindings({ database_url, master_keys, public_url }: Config): Promise<Finding[]> {
  const engine = isSqlite(database_url) ? "SQLite" : "PostgreSQL";
  if (isSqlite(database_url) && !existsSync(sqlitePath(database_url))) {
    const message = `${sqlitePath(database_url)} is not there yet; the first start makes it.`;
    return [{ check: "database", state: "warning", message }];
  }
  try {
    const survey = await surveyMigrations(database_url);
    const { pending } = survey;
    const storage = await openStorage({ database_url });
    const offset = Math.abs(storage.now() - Date.now());
    let transactions: Finding[];
    let former: readonly Finding[] = [];
    try {
      await storage.ping();
      transactions = await transactionFindings(storage);
      await (pending.length < migrationNames().length ? writeNothing(storage) : createNothing(storage));
      if (pending.length === 0 && master_keys.length > 0) await checkMasterKeys(storage, masterKeys(master_keys));
      if (pending.length === 0) former = await formerFindings(storage, public_url);
    } finally {
      await storage.close();
    }
    const clock: Finding =
      offset < 2_000
        ? { check: "clock", state: "ok", message: `differs from the database's clock by ${offset} ms.` }
        : {
            check: "clock",
            state: "warning",
            message: `differs from the database's clock, which counts, by ${offset} ms. Check time synchronisation.`,
          };
    return [
      { check: "database", state: "ok", message: `${engine} answers.` },
      schemaFinding(survey),
      ...transactions,
      clock,
      ...former,
    ];
  } catch (error) {
    return [{ check: "database", state: "failed", message: adviceOn(error) }];
  }
}

/** Of very many logins the look takes longer than the database may: that says nothing of the database. */
async function formerFindings(storage: Storage, public_url: string): Promise<readonly Finding[]> {
  const found = formerAddresses(storage, public_url).catch((error: unknown) => [
    `what names another address than PUBLIC_URL could not be looked for: ${adviceOn(error)}`,
  ]);
  return (await found).map((message) => ({ check: "former address", state: "warning", message }));
}

function schemaFinding({ pending, newer }: Survey): Finding {
  const check = "schema";
  if (newer.length > 0) {
    const message = `a newer version made it: ${newer.join(", ")} is not known here. Going back one version is safe, further takes the backup of before.`;
    return { check, state: "warning", message };
  }
  if (pending.length === 0) return { check, state: "ok", message: "up to date." };
  const message = `${pending.length} migration(s) to apply; the next start or \`latchkey migrate\` does.`;
  return { check, state: "warning", message };
}

/** Of what role and database set for them, one counts that no connection of ours sets for itself. */
async function transactionFindings({ engine, read }: Storage): Promise<Finding[]> {
  const check = "transactions";
  if (engine === "sqlite") return [];
  const { rows } = await sql<{ isolation: string; durable: string | null; role: string }>`
    select current_setting('transaction_isolation') as isolation, current_setting('synchronous_commit', true) as durable,
      quote_ident(current_user) as role`.execute(read);
  const [{ isolation, durable, role } = { isolation: "", durable: null, role: "" }] = rows;
  if (durable !== "off") return [{ check, state: "ok", message: `${isolation}.` }];
  const message = `synchronous_commit is off there, so what was answered may be lost with the server. Set it: alter role ${role} set synchronous_commit = on.`;
  return [{ check, state: "warning", message }];
}

/** @throws where the database may only be read: it refuses also a write that changes no row. */
async function writeNothing(storage: Storage): Promise<void> {
  await storage.write(({ db }) => sql`delete from migrations where name is null`.execute(db));
}

/** @throws where the first start could make no tables. */
async function createNothing(storage: Storage): Promise<void> {
  await rehearse(storage, ({ db }) => sql`create table migrations (name text)`.execute(db));
}

async function mailFinding({ smtp_url, mail_from }: Config): Promise<Finding> {
  const check = "mail";
  if (smtp_url === null) {
    return { check, state: "warning", message: "SMTP_URL is not set; production accounts cannot send mail." };
  }
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    url: reveal(smtp_url),
    ...encryptionFor(reveal(smtp_url)),
    connectionTimeout: 5_000,
    greetingTimeout: 5_000,
    socketTimeout: 5_000,
  } as never);
  try {
    await transport.verify();
    return { check, state: "ok", message: `the server accepts us; mail comes from ${mail_from}.` };
  } catch (error) {
    return { check, state: "failed", message: mailAdvice(faultCode(error as { code?: string })) };
  } finally {
    transport.close();
  }
}

function mailAdvice(code: string): string {
  if (/^CERT_|SELF_SIGNED|^UNABLE_TO_|^ERR_TLS_/.test(code))
    return `the server of SMTP_URL cannot be trusted (${code}). Its certificate is not valid: renew it there, name the host that it is for, or give Node.js its authority by NODE_EXTRA_CA_CERTS.`;
  if (code === "ETLS")
    return `the server of SMTP_URL does not speak TLS (${code}), and a password would go out as it is. Turn STARTTLS on there, with a certificate that is valid, or use smtps://.`;
  if (["ECONNREFUSED", "ETIMEDOUT", "ENOTFOUND"].includes(code))
    return `nothing answers at the host and port of SMTP_URL (${code}). Check both, and the firewall.`;
  return `the server of SMTP_URL does not accept us (${code}). Check host, port, user and password.`;
}

function metricsFinding({ workers, metrics_port }: Config): Finding {
  const check = "metrics";
  if (metrics_port !== null) return { check, state: "ok", message: `on METRICS_PORT ${metrics_port}.` };
  if (workers === 1) return { check, state: "ok", message: "at /metrics, for this machine only." };
  const message = `each answer of /metrics holds the figures of one of the ${workers} workers. Set METRICS_PORT, which adds them up.`;
  return { check, state: "warning", message };
}

async function traceFindings({ otlp_endpoint }: Config): Promise<Finding[]> {
  const check = "traces";
  if (otlp_endpoint === null) return [];
  try {
    await askCollector(otlp_endpoint);
    return [{ check, state: "ok", message: "the collector takes them." }];
  } catch (error) {
    const { code, message } = error as { code?: unknown; message: string };
    const said = `the collector of OTEL_EXPORTER_OTLP_ENDPOINT takes none (${code ?? message}).`;
    const remedy = "Name the base of its OTLP over HTTP, often of port 4318: /v1/traces is added to it.";
    return [{ check, state: "warning", message: `${said} ${remedy}` }];
  }
}

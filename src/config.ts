/**
 * The settings of the process, read once from its environment. What is wrong or unknown stops the start with one line each,
 * all at once, naming variable and remedy. Values are never repeated in a fault: some hold secrets.
 */
import { statSync } from "node:fs";
import { resolve } from "node:path";
import { readMasterKeys } from "./config/master-key.ts";
import { misspelled } from "./config/misspelled.ts";
import { type Secret, secret } from "./secrets/secret.ts";

export interface Config {
  readonly host: string;
  readonly port: number;
  /** Base of issuers and links, without a slash at its end. */
  readonly public_url: string;
  readonly database_url: string;
  /** Newest first; 32 bytes each. */
  readonly master_keys: readonly Uint8Array[];
  /** Where they were read from; null where the environment holds them, or there are none. */
  readonly master_key_file: string | null;
  readonly smtp_url: Secret | null;
  readonly mail_from: string;
  readonly sms_url: Secret | null;
  readonly workers: number;
  readonly trusted_proxies: readonly string[];
  readonly egress_allow: readonly string[];
  readonly log_level: string;
  readonly otlp_endpoint: string | null;
  readonly metrics_port: number | null;
  /** A start that finds no demo account makes one. */
  readonly demo: boolean;
}

export type Environment = Readonly<Record<string, string | undefined>>;

export interface Variable {
  readonly name: string;
  readonly default: string;
  readonly meaning: string;
}

/** Everything the process reads from its environment; printed in the docs and in config.schema.json. */
export const variables: readonly Variable[] = [
  {
    name: "HOST",
    default: "127.0.0.1",
    meaning: "Address to listen on, or a name, for the first that it has. :: for all.",
  },
  { name: "PORT", default: "8080", meaning: "Port to listen on." },
  {
    name: "PUBLIC_URL",
    default: "http://localhost:$PORT",
    meaning: "Base of issuers and links; https unless loopback.",
  },
  { name: "DATABASE_URL", default: "sqlite:./data/latchkey.db", meaning: "sqlite:path, or postgres://…" },
  {
    name: "MASTER_KEY",
    default: "",
    meaning: "32 bytes in base64; several versions separated by commas, newest first.",
  },
  {
    name: "MASTER_KEY_FILE",
    default: "",
    meaning: "A file that holds them, one a line. With SQLite alone, one is generated beside the database.",
  },
  {
    name: "SMTP_URL",
    default: "",
    meaning: "smtp://user:password@host:587 (with STARTTLS) or smtps://…; mail of production accounts.",
  },
  { name: "MAIL_FROM", default: "", meaning: "Sender of mail; required beside SMTP_URL." },
  {
    name: "SMS_URL",
    default: "",
    meaning: "twilio://sid:token@from, or https://:secret@host/path for a signed webhook.",
  },
  { name: "WORKERS", default: "1", meaning: "Processes that share PORT; more than one needs PostgreSQL." },
  {
    name: "TRUSTED_PROXIES",
    default: "",
    meaning: "CIDRs, separated by commas, whose X-Forwarded-* or Forwarded counts.",
  },
  {
    name: "EGRESS_ALLOW",
    default: "",
    meaning: "CIDRs, separated by commas, that outbound requests may reach although they are not public.",
  },
  { name: "LOG_LEVEL", default: "info", meaning: "trace, debug, info, warn, error or silent." },
  { name: "OTEL_EXPORTER_OTLP_ENDPOINT", default: "", meaning: "Where traces go (OTLP over HTTP)." },
  {
    name: "METRICS_PORT",
    default: "",
    meaning:
      "Port of HOST for /metrics, open to all who reach it. Without it: /metrics on PORT, for this machine only.",
  },
  {
    name: "DEMO",
    default: "",
    meaning:
      "1: a start that finds no demo account makes one; 0: never. Default: 1 where PUBLIC_URL is loopback, else 0.",
  },
];

const known = variables.map(({ name }) => name);

const defaultOf = (name: string): string => variables.find((variable) => variable.name === name)?.default ?? "";

export class ConfigError extends Error {
  readonly faults: readonly string[];

  constructor(faults: readonly string[]) {
    super(faults.join("\n"));
    this.name = "ConfigError";
    this.faults = faults;
  }
}

/** What is wrong with a variable, in a sentence that goes on from its name. */
export type Fault = (variable: string, sentence: string) => void;

export function isSqlite(database_url: string): boolean {
  return database_url.startsWith("sqlite:");
}

/** An address that leads to this machine, by its name. Where an app's private scheme leads, no name in it says. */
export function isLoopbackUrl(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol, hostname } = new URL(url);
  return /^https?:$/.test(protocol) && /^(localhost|127(\.\d+){3}|\[::1\])$/.test(hostname);
}

export function sqlitePath(database_url: string): string {
  return resolve(database_url.slice("sqlite:".length));
}

export interface ReadOptions {
  /** False: where SQLite has no master key's file yet, none is generated. */
  readonly generate?: boolean;
  /** @returns the faults that only the rooms can tell, a line each. */
  readonly check?: (config: Config) => readonly string[];
}

/**
 * Generates the master key's file where SQLite has none yet.
 *
 * @throws ConfigError with every fault.
 */
export function readConfig(env: Environment, { generate = true, check = () => [] }: ReadOptions = {}): Config {
  const faults: string[] = [];
  const fault: Fault = (variable, sentence) => faults.push(`${variable} ${sentence}`);
  const given = (name: string) => env[name]?.trim() || undefined;
  const value = (name: string) => given(name) ?? defaultOf(name);
  for (const [typed, meant] of misspelled(env, known)) fault(typed, `is not a setting. Did you mean ${meant}?`);
  const port = integer(value("PORT"), "PORT", 0, 65_535, fault);
  const database_url = value("DATABASE_URL");
  const sqlite = isSqlite(database_url);
  const readable = checkDatabase(database_url, fault);
  const workers = integer(value("WORKERS"), "WORKERS", 1, 256, fault);
  if (workers > 1 && sqlite) fault("WORKERS", "must be 1 with SQLite. Use PostgreSQL for several processes.");
  const public_url = readPublicUrl(given("PUBLIC_URL"), port, fault);
  const [inline, file] = [given("MASTER_KEY"), given("MASTER_KEY_FILE")];
  const database = sqlite ? sqlitePath(database_url) : null;
  const keys = readMasterKeys({ inline, file, database: readable ? database : undefined, generate }, fault);
  const smtp_url = given("SMTP_URL");
  const sms_url = given("SMS_URL");
  const mail_from = value("MAIL_FROM");
  checkMail(smtp_url, mail_from, fault);
  const metrics = given("METRICS_PORT");
  const metrics_port = metrics === undefined ? null : integer(metrics, "METRICS_PORT", 1, 65_535, fault);
  if (metrics_port === port) fault("METRICS_PORT", "must be another port than PORT.");
  const otlp = given("OTEL_EXPORTER_OTLP_ENDPOINT");
  if (otlp !== undefined && !(/^https?:\/\//.test(otlp) && URL.canParse(otlp)))
    fault("OTEL_EXPORTER_OTLP_ENDPOINT", "must be an http or https URL.");
  const config: Config = {
    host: value("HOST"),
    port,
    public_url,
    database_url,
    ...keys,
    smtp_url: smtp_url === undefined ? null : secret(smtp_url),
    mail_from,
    sms_url: sms_url === undefined ? null : secret(sms_url),
    workers,
    trusted_proxies: list(value("TRUSTED_PROXIES")),
    egress_allow: list(value("EGRESS_ALLOW")),
    log_level: oneOf(value("LOG_LEVEL"), "LOG_LEVEL", ["trace", "debug", "info", "warn", "error", "silent"], fault),
    otlp_endpoint: otlp ?? null,
    metrics_port,
    demo: oneOf(given("DEMO") ?? (isLoopbackUrl(public_url) ? "1" : "0"), "DEMO", ["0", "1"], fault) === "1",
  };
  faults.push(...check(config));
  if (faults.length > 0) throw new ConfigError(faults);
  return config;
}

/** A number that will not do is taken for the least that would: nothing else is at fault for it. */
function integer(text: string, name: string, min: number, max: number, fault: Fault): number {
  const number = Number(text);
  if (/^\d+$/.test(text) && number >= min && number <= max) return number;
  fault(name, `must be a whole number from ${min} to ${max}.`);
  return min;
}

function oneOf(text: string, name: string, allowed: readonly string[], fault: Fault): string {
  if (!allowed.includes(text)) fault(name, `must be one of ${allowed.join(", ")}.`);
  return text;
}

const list = (text: string) =>
  text
    .split(",")
    .map((entry) => entry.trim())
    .filter(Boolean);

/** SQLite's URL names a path and nothing else: what others write after two slashes would be read from the root. */
const NO_FILE = /^sqlite:($|:memory:|\/\/[^/])/;

/** Whether it can be told what the URL means. */
function checkDatabase(database_url: string, fault: Fault): boolean {
  const of = (sentence: string) => {
    fault("DATABASE_URL", sentence);
    return false;
  };
  if (NO_FILE.test(database_url)) return of("must be sqlite: and the path of a file, as in sqlite:./data/latchkey.db.");
  if (isSqlite(database_url))
    return isFolder(sqlitePath(database_url)) ? of("names a folder. Name a file in it.") : true;
  if (!/^postgres(ql)?:\/\//.test(database_url)) return of("must begin with sqlite: or postgres://.");
  if (URL.canParse(database_url.replace("@/", "@localhost/"))) return true;
  return of("must be postgres://user:password@host:5432/database, with special characters percent-encoded.");
}

function isFolder(path: string): boolean {
  try {
    return statSync(path).isDirectory();
  } catch {
    return false;
  }
}

/** Whether routes may stand below the path: a router compares what is decoded, and knows `*` and `%` as more than signs. */
function isRoutable(path: string): boolean {
  try {
    const decoded = decodeURI(path);
    return decoded === decodeURIComponent(path) && !/[*%]/.test(decoded);
  } catch {
    return false;
  }
}

/** It is compared with what browsers and clients send, so it has to be written as they write it. */
function readPublicUrl(text: string | undefined, port: number, fault: Fault): string {
  const url = text?.replace(/\/+$/, "") ?? new URL(defaultOf("PUBLIC_URL").replace("$PORT", String(port))).origin;
  const { protocol, username, href } = URL.canParse(url) ? new URL(url) : { protocol: "", username: "", href: "" };
  if (protocol === "" || username !== "" || /[?#]/.test(url)) {
    fault("PUBLIC_URL", "must be a URL without query, fragment and user name, for example https://login.example.com.");
  } else if (protocol !== "https:" && !(protocol === "http:" && isLoopbackUrl(url))) {
    fault("PUBLIC_URL", "must be https, or http on a loopback address.");
  } else if (href.replace(/\/+$/, "") !== url) {
    fault(
      "PUBLIC_URL",
      "must be written as browsers send it: the host in lower case or xn--…, no :443 or :80, no spaces.",
    );
  } else if (!isRoutable(new URL(url).pathname)) {
    fault(
      "PUBLIC_URL",
      "must have no * and no %25 in its path, and percent-encoded there only what has to be, as UTF-8.",
    );
  }
  return url;
}

/** An address, or a name and an address in angle brackets. */
const SENDER = /^([^<>\r\n]*<[^\s<>,;@]+@[^\s<>,;@]+>|[^\s<>,;@]+@[^\s<>,;@]+)$/;

function checkMail(smtp_url: string | undefined, mail_from: string, fault: Fault): void {
  if (smtp_url === undefined) return;
  if (!URL.canParse(smtp_url) || !/^smtps?:$/.test(new URL(smtp_url).protocol) || new URL(smtp_url).hostname === "") {
    fault(
      "SMTP_URL",
      "must be smtp://host:port or smtps://host:port, with user:password@ where the server asks for it.",
    );
  }
  if (!SENDER.test(mail_from))
    fault("MAIL_FROM", "must be one address beside SMTP_URL, for example Example <login@example.com>.");
}

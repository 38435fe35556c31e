import {
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  writeFileSync,
} from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";
import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { ConfigError, type Environment, readConfig, variables } from "./config.ts";

const KEY = Buffer.alloc(32, 9).toString("base64");

function faultsOf(env: Environment): readonly string[] {
  try {
    readConfig(env);
    return [];
  } catch (error) {
    return (error as ConfigError).faults;
  }
}

describe("settings", () => {
  let folder: string;
  beforeEach(() => {
    folder = mkdtempSync(join(tmpdir(), "latchkey-config-"));
  });
  afterEach(() => rmSync(folder, { recursive: true }));

  it("have defaults that start on one machine", () => {
    const config = readConfig({ DATABASE_URL: `sqlite:${folder}/a.db` });
    expect(config).toMatchObject({ host: "127.0.0.1", port: 8080, public_url: "http://localhost:8080", workers: 1 });
    expect(config.demo).toBe(true);
  });

  it("write the base as browsers do where nobody sets it, whatever the port", () => {
    const bases = { "80": "http://localhost", "443": "http://localhost:443", "0": "http://localhost:0" };
    for (const [PORT, base] of Object.entries(bases))
      expect(readConfig({ MASTER_KEY: KEY, PORT }).public_url).toBe(base);
  });

  it("generate no master key beside a database that was sealed under another", () => {
    const beside = mkdtempSync(join(tmpdir(), "latchkey-config-"));
    const DATABASE_URL = `sqlite:${beside}/latchkey.db`;
    writeFileSync(join(beside, "latchkey.db"), "");
    expect(() => readConfig({ DATABASE_URL })).toThrow(/^MASTER_KEY is needed: .*latchkey.db is there already/);
    expect(existsSync(join(beside, "master.key"))).toBe(false);
    expect(readConfig({ DATABASE_URL, MASTER_KEY: Buffer.alloc(32).toString("base64") }).master_key_file).toBeNull();
    rmSync(beside, { recursive: true });
  });

  it("generate one master key, readable by its owner alone, and find it again", () => {
    const env = { DATABASE_URL: `sqlite:${folder}/deep/er/a.db` };
    const first = readConfig(env);
    expect(first.master_keys[0]).toHaveLength(32);
    expect(statSync(join(folder, "deep/er/master.key")).mode & 0o777).toBe(0o600);
    expect(readConfig(env).master_keys).toEqual(first.master_keys);
    expect(readdirSync(join(folder, "deep/er"))).toEqual(["master.key"]);
  });

  it("say where the master key lies that was generated and is of no use", () => {
    const DATABASE_URL = `sqlite:${folder}/a.db`;
    const path = join(folder, "master.key");
    writeFileSync(path, "");
    expect(faultsOf({ DATABASE_URL })).toEqual([
      expect.stringContaining(`MASTER_KEY is not set, and ${path} must hold`),
    ]);
    rmSync(path);
    mkdirSync(path);
    expect(faultsOf({ DATABASE_URL })).toEqual([
      `MASTER_KEY is not set, and ${path} cannot be read: EISDIR. Check the path and its permissions.`,
    ]);
  });

  it("say that no master key can be generated where the folder cannot be written", () => {
    writeFileSync(join(folder, "file"), "");
    for (const below of ["file", "file/deeper"]) {
      expect(faultsOf({ DATABASE_URL: `sqlite:${folder}/${below}/a.db` })).toEqual([
        expect.stringMatching(/^MASTER_KEY is not set, and none can be written to .*\/file.*: (ENOTDIR|EEXIST)\. Make/),
      ]);
    }
  });

  it("say so where there can be no folder, and do not wait for one", () => {
    expect(faultsOf({ DATABASE_URL: "sqlite:/proc/latchkey/a.db" })).toEqual([
      expect.stringMatching(/^MASTER_KEY is not set, and none can be written to \/proc\/latchkey: E[A-Z]+\. Make/),
    ]);
  });

  it("take a base with a port and a path, as browsers write it", () => {
    const bases = ["https://login.example:8443/auth", "http://127.0.0.1:9", "http://[::1]:8080", "https://a.example/"];
    for (const PUBLIC_URL of bases) expect(faultsOf({ MASTER_KEY: KEY, PUBLIC_URL })).toEqual([]);
  });

  it("name every fault at once, one line each, with variable and remedy", () => {
    const faults = faultsOf({
      PORT: "eighty",
      PUBLIC_URL: "http://login.example.com",
      DATABASE_URL: "mysql://x",
      MASTER_KEY: "short",
      SMTP_URL: "mail.example.com",
      WORKERS: "0",
      LOG_LEVEL: "loud",
      DEMO: "yes",
      METRICS_PORT: "-1",
      OTEL_EXPORTER_OTLP_ENDPOINT: "collector",
      EGRESS_ALOW: "10.0.0.0/8",
    });
    const named = faults.map((fault) => fault.split(" ")[0]);
    expect(named.toSorted()).toEqual(
      [
        "DATABASE_URL",
        "DEMO",
        "EGRESS_ALOW",
        "LOG_LEVEL",
        "MAIL_FROM",
        "MASTER_KEY",
        "METRICS_PORT",
        "OTEL_EXPORTER_OTLP_ENDPOINT",
        "PORT",
        "PUBLIC_URL",
        "SMTP_URL",
        "WORKERS",
      ].toSorted(),
    );
    expect(faults.every((fault) => fault.length > 20 && !fault.includes("\n"))).toBe(true);
    expect(faults.find((fault) => fault.startsWith("EGRESS_ALOW"))).toContain("Did you mean EGRESS_ALLOW?");
  });

  it.each([
    [{ DATABASE_URL: "postgres://h/d" }, "MASTER_KEY"],
    [{ MASTER_KEY: KEY, MASTER_KEY_FILE: "/nowhere" }, "MASTER_KEY_FILE"],
    [{ MASTER_KEY_FILE: "/nowhere/at/all" }, "MASTER_KEY_FILE"],
    [{ MASTER_KEY: KEY, WORKERS: "2" }, "WORKERS"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://a.example/?x=1" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, SMTP_URL: "smtp://mail.example" }, "MAIL_FROM"],
    [{ MASTER_KEY: KEY, SMTP_URL: "smtp://mail.example", MAIL_FROM: "Example <login@example.com" }, "MAIL_FROM"],
    [{ MASTER_KEY: KEY, SMTP_URL: "smtp://mail.example", MAIL_FROM: "a@example.com, b@example.com" }, "MAIL_FROM"],
    [{ MASTER_KEY: KEY, LATCHKEY_PORT: "1" }, "LATCHKEY_PORT"],
    [{ MASTER_KEY: KEY, PUBLIC_URI: "https://a.example" }, "PUBLIC_URI"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "ftp://localhost" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://Login.example" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example:443" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example?" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example/a*b" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example/a%2Ab" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example/%E5" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example/a%2Fb" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PUBLIC_URL: "https://login.example/a%25b" }, "PUBLIC_URL"],
    [{ MASTER_KEY: KEY, PORT: "9464", METRICS_PORT: "9464" }, "METRICS_PORT"],
    [{ MASTER_KEY: KEY, DATABASE_URL: "sqlite:" }, "DATABASE_URL"],
    [{ MASTER_KEY: KEY, DATABASE_URL: "sqlite::memory:" }, "DATABASE_URL"],
    [{ MASTER_KEY: KEY, DATABASE_URL: "sqlite://data/latchkey.db" }, "DATABASE_URL"],
    [{ DATABASE_URL: "data/latchkey.db" }, "DATABASE_URL"],
    [{ DATABASE_URL: "sqlite:" }, "DATABASE_URL"],
  ] satisfies [Environment, string][])("refuse %j", (env, variable) => {
    expect(faultsOf({ DATABASE_URL: `sqlite:${folder}/a.db`, ...env }).map((fault) => fault.split(" ")[0])).toEqual([
      variable,
    ]);
  });

  it.each([
    "login@example.com",
    "Example <login@example.com>",
    '"Shop, Inc." <login@example.com>',
    "<a@b>",
    "Ærlig <a@b>",
  ])("take the sender %s", (MAIL_FROM) =>
    expect(faultsOf({ MASTER_KEY: KEY, SMTP_URL: "smtp://mail.example", MAIL_FROM })).toEqual([]),
  );

  it("never repeat a value in a fault", () => {
    const faults = faultsOf({ MASTER_KEY: "hunter2-key", SMTP_URL: "hunter2-mail", DATABASE_URL: "hunter2-db" });
    expect(faults.length).toBeGreaterThan(2);
    expect(faults.join()).not.toContain("hunter2");
  });

  it("take key versions from a file, newest first", () => {
    const older = Buffer.alloc(32, 1).toString("base64");
    writeFileSync(join(folder, "keys"), `${KEY}\n${older}\n`);
    const { master_keys, master_key_file } = readConfig({ MASTER_KEY_FILE: join(folder, "keys") });
    expect(master_keys.map((key) => Buffer.from(key).toString("base64"))).toEqual([KEY, older]);
    expect(master_key_file).toBe(join(folder, "keys"));
  });

  const OTHER = Buffer.alloc(32, 1).toString("base64");

  it.each(["", ";", ":", "|", ";\n", "garbage"])(
    "take no two master keys for one, between which is only %j",
    (between) => {
      const text = `${KEY}${between}${OTHER}`;
      expect(faultsOf({ MASTER_KEY: text })).toEqual([expect.stringMatching(/^MASTER_KEY must .*separated by commas/)]);
      writeFileSync(join(folder, "keys"), text);
      expect(faultsOf({ MASTER_KEY_FILE: join(folder, "keys") })).toEqual([
        expect.stringMatching(/^MASTER_KEY_FILE must .*one a line/),
      ]);
    },
  );

  it.each([
    `${KEY}, ${OTHER}`,
    `"${KEY},${OTHER}"`,
    `'${KEY}','${OTHER}'`,
    `${KEY}\r\n${OTHER}\r\n`,
    `${KEY.replace("=", "")},${OTHER.replace("=", "")}`,
  ])("take the master keys of %j", (MASTER_KEY) => {
    const { master_keys } = readConfig({ MASTER_KEY });
    expect(master_keys.map((key) => Buffer.from(key).toString("base64"))).toEqual([KEY, OTHER]);
  });

  it("leave other programs' variables alone", () => {
    expect(faultsOf({ MASTER_KEY: KEY, HOME: "/", NODE_ENV: "test", npm_config_x: "1", HOSTNAME: "h" })).toEqual([]);
  });

  it.each([
    ...[
      ["STMP_URL", "SMTP_URL"],
      ["SMPT_URL", "SMTP_URL"],
      ["SMTTP_URL", "SMTP_URL"],
      ["SMTP_URI", "SMTP_URL"],
    ],
    ...[
      ["DATABSE_URL", "DATABASE_URL"],
      ["PUBLIC_ULR", "PUBLIC_URL"],
      ["PUBLICURL", "PUBLIC_URL"],
    ],
    ...[
      ["MASTERKEY", "MASTER_KEY"],
      ["MAIL_FORM", "MAIL_FROM"],
      ["TRUSTED_PROXIS", "TRUSTED_PROXIES"],
      ["TRUSTED_PROXY", "TRUSTED_PROXIES"],
      ["MASTER_KEYS", "MASTER_KEY"],
    ],
    ...[
      ["LATCHKEY_HOST", "HOST"],
      ["LATCHKEY_STMP_URL", "SMTP_URL"],
    ],
    ["LATCHKEY_SMS", "one of the settings in the README"],
  ] as [string, string][])("are asked for where %s was typed for one that is not set", (typed, meant) => {
    const env = { MASTER_KEY_FILE: join(folder, "keys"), [typed]: "x" };
    writeFileSync(join(folder, "keys"), KEY);
    expect(faultsOf(env)).toEqual([`${typed} is not a setting. Did you mean ${meant}?`]);
  });

  it("leave alone names of others that resemble theirs, and slips beside the setting itself", () => {
    const others = [
      ...[
        "SITE",
        "SHOP",
        "AMQP",
        "IMAP",
        "HTTP",
        "FTP",
        "WS",
        "CMS",
        "SSO",
        "MQ",
        "SNS",
        "SQS",
        "SSM",
        "MS",
        "JMS",
        "LMS",
      ],
      ...["API", "APP", "DB", "BASE", "REDIS", "SAML", "PUBLISH", "DATA", "SMTPS"],
    ].map((name) => `${name}_URL`);
    const further = [
      "EMAIL_FROM",
      "MAIL_TO",
      "MAILER_FROM",
      "SMTP_HOST",
      "SMTP_PORT",
      "SMTP_USER",
      "MASTER_HOST",
      "WORKER",
    ];
    const env = Object.fromEntries([...others, ...further].map((name) => [name, "x"]));
    expect(faultsOf({ MASTER_KEY: KEY, ...env })).toEqual([]);
    expect(faultsOf({ MASTER_KEY: KEY, LOG_LEVEL: "info", LOGLEVEL: "debug" })).toEqual([]);
  });

  it("leave alone what an orchestrator says of services that bear our name", () => {
    const service = (name: string) => ({
      [`${name}_SERVICE_HOST`]: "10.96.3.4",
      [`${name}_SERVICE_PORT`]: "8080",
      [`${name}_SERVICE_PORT_HTTP`]: "8080",
      [`${name}_PORT`]: "tcp://10.96.3.4:8080",
      [`${name}_PORT_8080_TCP`]: "tcp://10.96.3.4:8080",
      [`${name}_PORT_8080_TCP_PROTO`]: "tcp",
      [`${name}_PORT_8080_TCP_PORT`]: "8080",
      [`${name}_PORT_8080_TCP_ADDR`]: "10.96.3.4",
    });
    expect(faultsOf({ MASTER_KEY: KEY, ...service("LATCHKEY"), ...service("LATCHKEY_WEB") })).toEqual([]);
  });

  it("are all in the README, as they are here", () => {
    const readme = readFileSync(fileURLToPath(new URL("../README.md", import.meta.url)), "utf8");
    for (const { name, default: otherwise, meaning } of variables) {
      expect(readme).toContain(`| \`${name}\` | ${otherwise ? `\`${otherwise}\`` : ""} | ${meaning} |`);
    }
  });

  it("give the figures a port of their own, however its number is written", () => {
    const twice = { MASTER_KEY: KEY, PORT: "24101", METRICS_PORT: "024101" };
    expect(faultsOf(twice)).toEqual(["METRICS_PORT must be another port than PORT."]);
    expect(faultsOf({ ...twice, METRICS_PORT: "24102" })).toEqual([]);
  });

  it("are a ConfigError when they are wrong", () => {
    expect(() => readConfig({ PORT: "x", MASTER_KEY: KEY })).toThrow(ConfigError);
  });
});

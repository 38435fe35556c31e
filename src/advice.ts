/** What an operator is told of an error that ends the start or a command: the setting that it is about, and what to do. */

import { Refusal } from "./errors.ts";
import { sqliteCode } from "./storage/sqlite/errors.ts";

const DAMAGED = "names a file that is no database, or a damaged one: restore it from a backup, or name another";
const CLOSED = "names a file that may not be written: make file and folder writable for this user";
const HELD = "names a file that another program keeps locked: end that program";
const FAILING = "names a file whose disk is full or failing";

const SQLITE: Readonly<Record<string, string>> = {
  SQLITE_NOTADB: DAMAGED,
  SQLITE_CORRUPT: DAMAGED,
  SQLITE_READONLY: CLOSED,
  SQLITE_PERM: CLOSED,
  SQLITE_CANTOPEN: "names a file that cannot be opened: check that the folder is there and writable for this user",
  SQLITE_BUSY: HELD,
  SQLITE_LOCKED: HELD,
  SQLITE_FULL: FAILING,
  SQLITE_IOERR: FAILING,
  // Of its log, which is flushed beside SQLite.
  ENOSPC: FAILING,
  EIO: FAILING,
};

const SILENT = "names a server that does not answer: check host, port and firewall";
const SLOW =
  "names a server that did not finish in time: look there for load, and for who holds a lock (pg_blocking_pids)";
const ENDED = "names a server that ends the connection: check host and port, and its log";

/** By error code of the connection or of PostgreSQL. */
const POSTGRES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "names a server that takes no connections: start PostgreSQL, or correct host and port",
  ENOENT: "names a socket that is not there: start PostgreSQL, or correct the folder",
  ENOTFOUND: "names a host that does not exist: correct it",
  EAI_AGAIN: "names a host that cannot be looked up now: check the name server",
  ETIMEDOUT: SILENT,
  EHOSTUNREACH: SILENT,
  ENETUNREACH: SILENT,
  ECONNRESET: ENDED,
  "28P01": "holds a wrong user or password",
  "28000": "names a user that the server does not let in: check user, password and pg_hba.conf",
  "3D000": "names a database that does not exist: create it",
  "3F000": "names a user that has no schema to create tables in: create one, or set its search_path",
  "42501": "names a user that may not create tables: make it the owner, by alter database … owner to …",
  "25006": "names a standby, or a server that may only be read: name the primary",
  "22P05": "names a database that does not hold all characters: create it with encoding 'UTF8'",
  "53300": "names a server that has no connection left: raise its max_connections, or run fewer processes",
  "55P03": SLOW,
  "57014": SLOW,
  "57P03": "names a server that is only starting: try again",
};

/** What pg says without a code. */
const POSTGRES_SAYS: readonly (readonly [RegExp, string])[] = [
  [/^Query read timeout/, SLOW],
  [/^timeout e|timeout$/, SILENT],
  [/^Connection terminated/, ENDED],
  [
    /not support SSL|SSL connection$/,
    "asks for encryption, and the server has none: leave sslmode out, or give it a certificate",
  ],
  [/password must be a string/, "holds no password, and the server asks for one"],
];

/** Of Node.js, for a certificate that it does not take. */
const UNTRUSTED = /^CERT_|SELF_SIGNED|^UNABLE_TO_|^ERR_TLS_CERT/;
const CERTIFICATE =
  "names a server whose certificate is not valid: renew it, use the host it is for, or name its authority by sslrootcert";

const FILES: Readonly<Record<string, string>> = {
  EEXIST: "is there already: name another file, or remove that one",
  ENOENT: "is not there, or its folder is not: check the path",
  EISDIR: "is a folder: name a file",
  EACCES: "is not open to this user: check its permissions",
  EPERM: "is not open to this user: check its permissions",
  EROFS: "is on a file system that cannot be written",
  ENOSPC: "is on a disk that is full",
  SQLITE_FULL: "is on a disk that is full",
};

/** One line where the error is one that operators meet, else the error's own message. */
export function adviceOn(error: unknown): string {
  const root = rootOf(error);
  const { message, path } = root;
  const code = sqliteCode(root) ?? root.code ?? "";
  const said = path === undefined ? ofDatabase(code, message) : undefined;
  if (said) return `DATABASE_URL ${said}${code && ` (${code})`}.`;
  if (path !== undefined && FILES[code]) return `${path} ${FILES[code]}.`;
  if (error instanceof Refusal && root !== error) return `DATABASE_URL: ${error.options.detail}: ${message}.`;
  return message || String(error);
}

/** An error of a database in that folder, which is not the one that DATABASE_URL names. */
export function errorOfFolder(error: unknown, folder: string): unknown {
  const root = rootOf(error);
  if (sqliteCode(root)) root.path = folder;
  return error;
}

function ofDatabase(code: string, message: string): string | undefined {
  if (code) return SQLITE[code] ?? POSTGRES[code] ?? (UNTRUSTED.test(code) ? CERTIFICATE : undefined);
  return POSTGRES_SAYS.find(([said]) => said.test(message))?.[1];
}

/** The error that another one only carries: a refusal names its cause, several addresses of one host are tried one by one. */
function rootOf(error: unknown): NodeJS.ErrnoException {
  const { cause, errors } = error as { cause?: unknown; errors?: readonly unknown[] };
  const inner = cause ?? errors?.[0];
  return inner instanceof Error && ("code" in inner || error instanceof Refusal)
    ? rootOf(inner)
    : (error as NodeJS.ErrnoException);
}

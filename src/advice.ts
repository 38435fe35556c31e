/** What an operator is told of an error that ends the start or a command: the setting that it is about, and what to do. */

const SQLITE: readonly (readonly [RegExp, string])[] = [
  [
    /^SQLITE_(NOTADB|CORRUPT)/,
    "names a file that is no database, or a damaged one: restore it from a backup, or name another",
  ],
  [/^SQLITE_(READONLY|PERM|AUTH)/, "names a file that may not be written: make file and folder writable for this user"],
  [/^SQLITE_CANTOPEN/, "names a file that cannot be opened: check that the folder is there and writable for this user"],
  [/^SQLITE_(BUSY|LOCKED)/, "names a file that another program keeps locked: end that program"],
  [/^SQLITE_(FULL|IOERR)/, "names a file whose disk is full or failing"],
];

/** By error code of the connection or of PostgreSQL. */
const POSTGRES: Readonly<Record<string, string>> = {
  ECONNREFUSED: "names a server that takes no connections: start PostgreSQL, or correct host and port",
  ENOTFOUND: "names a host that does not exist: correct it",
  EAI_AGAIN: "names a host that cannot be looked up now: check the name server",
  ETIMEDOUT: "names a server that does not answer: check host, port and firewall",
  "28P01": "holds a wrong user or password",
  "28000": "names a user that the server does not let in: check user, password and pg_hba.conf",
  "3D000": "names a database that does not exist: create it",
  "42501": "names a user that may not create tables: grant it the database",
};

const FILES: Readonly<Record<string, string>> = {
  EEXIST: "is there already: name another file, or remove that one",
  ENOENT: "is not there",
  EISDIR: "is a folder",
  EACCES: "is not open to this user: check its permissions",
  EPERM: "is not open to this user: check its permissions",
  EROFS: "is on a file system that cannot be written",
  ENOSPC: "is on a disk that is full",
};

/** One line where the error is one that operators meet, else the error's own message. */
export function adviceOn(error: unknown): string {
  const { code = "", message, path, port } = rootOf(error);
  if (code === "EADDRINUSE") return `PORT ${port} is in use by another process. Stop that one, or set another PORT.`;
  if (code === "EACCES" && port !== undefined) return `PORT ${port} is not open to this user. Set one above 1023.`;
  if (code === "EADDRNOTAVAIL") return "HOST is no address of this machine.";
  const said = SQLITE.find(([pattern]) => pattern.test(code))?.[1] ?? (path === undefined ? POSTGRES[code] : undefined);
  if (said) return `DATABASE_URL ${said} (${code}).`;
  if (path !== undefined && FILES[code]) return `${path} ${FILES[code]}.`;
  return message || String(error);
}

/** The error that another one only carries: a refusal names its cause, several addresses of one host are tried one by one. */
function rootOf(error: unknown): NodeJS.ErrnoException & { readonly port?: number } {
  const { cause, errors } = error as { cause?: unknown; errors?: readonly unknown[] };
  const inner = cause ?? errors?.[0];
  return inner instanceof Error && "code" in inner ? rootOf(inner) : (error as NodeJS.ErrnoException);
}

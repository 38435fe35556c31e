import { describe, expect, it } from "vitest";
import { adviceOn } from "./advice.ts";
import { refuse } from "./errors.ts";
import { mapUnavailable as lostPostgres } from "./storage/postgres/errors.ts";
import { BrokenDisk, mapUnavailable as lostSqlite } from "./storage/sqlite/errors.ts";

const coded = (code: string, further: object = {}) => Object.assign(new Error("no"), { code, ...further });

describe("advice", () => {
  it.each([
    [
      lostSqlite(coded("SQLITE_FULL", { rawCode: 13 })),
      /^DATABASE_URL names a file whose disk is full.*\(SQLITE_FULL\)/,
    ],
    [
      lostSqlite(new BrokenDisk("the disk refused a flush", { cause: coded("EIO") })),
      /^DATABASE_URL names a file whose disk is full or failing \(EIO\)/,
    ],
    [
      lostSqlite(new BrokenDisk("the writer has ended")),
      /^DATABASE_URL: the disk takes nothing: the writer has ended\.$/,
    ],
    [lostPostgres(coded("ECONNREFUSED")), /^DATABASE_URL names a server that takes no connections/],
    [
      lostPostgres(new Error("Connection terminated unexpectedly")),
      /^DATABASE_URL names a server that ends the connection: check host and port, and its log\.$/,
    ],
    [new Error("Connection terminated unexpectedly"), /^DATABASE_URL names a server that ends the connection: check/],
    [new Error("Query read timeout"), /^DATABASE_URL names a server that did not finish in time: look there for load/],
    [coded("57014"), /^DATABASE_URL names a server that did not finish in time.*pg_blocking_pids.*\(57014\)/],
    [new Error("timeout expired"), /^DATABASE_URL names a server that does not answer: check/],
    [new Error("The server does not support SSL connections"), /^DATABASE_URL asks for encryption.*: leave sslmode/],
    [new Error("There was an error establishing an SSL connection"), /^DATABASE_URL asks for encryption/],
    [
      new Error("SASL: SCRAM-SERVER-FIRST-MESSAGE: client password must be a string"),
      /^DATABASE_URL holds no password, and the server asks for one\.$/,
    ],
    [
      coded("DEPTH_ZERO_SELF_SIGNED_CERT"),
      /^DATABASE_URL names a server whose certificate .*sslrootcert.*\(DEPTH_ZERO/,
    ],
    [coded("ERR_TLS_CERT_ALTNAME_INVALID"), /^DATABASE_URL names a server whose certificate/],
    [coded("53300"), /^DATABASE_URL names a server that has no connection left.*max_connections/],
    [
      coded("22P05"),
      /^DATABASE_URL names a database that does not hold all characters: create it with encoding 'UTF8'/,
    ],
    [
      coded("ENOENT"),
      /^DATABASE_URL names a socket that is not there: start PostgreSQL, or correct the folder \(ENOENT/,
    ],
    [coded("3F000"), /^DATABASE_URL names a user that has no schema/],
    [coded("57P03"), /^DATABASE_URL names a server that is only starting: try again/],
    [coded("25006"), /^DATABASE_URL names a standby/],
    [coded("EHOSTUNREACH"), /^DATABASE_URL names a server that does not answer/],
    [coded("ENOSPC", { path: "/out.json" }), /^\/out\.json is on a disk that is full\.$/],
    [
      refuse("temporarily_unavailable", { detail: "revocations are stale" }),
      /^The service is temporarily unavailable\.$/,
    ],
    [refuse("not_found"), /^There is no such resource\.$/],
  ])("on %s says %s", (error, line) => {
    expect(adviceOn(error)).toMatch(line);
  });
});

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
      /^DATABASE_URL: the database does not answer: Connection terminated unexpectedly\.$/,
    ],
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

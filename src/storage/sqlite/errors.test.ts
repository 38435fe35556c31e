import { expect, it } from "vitest";
import { mapUnavailable, sqliteCode } from "./errors.ts";

it("a fault is known by its primary code, whatever the driver calls the extended one", () => {
  const folder = Object.assign(new Error("attempt to write a readonly database"), {
    code: "UNKNOWN_SQLITE_ERROR_1544",
    rawCode: 1544,
  });
  expect(sqliteCode(folder)).toBe("SQLITE_READONLY");
  expect(mapUnavailable(folder)).toMatchObject({ code: "temporarily_unavailable" });
  const unopened = Object.assign(new Error('ConnectionFailed("Unable to open connection to local database /x: 14")'), {
    code: "",
  });
  expect(sqliteCode(unopened)).toBe("SQLITE_CANTOPEN");
  const constraint = Object.assign(new Error("UNIQUE constraint failed"), {
    code: "SQLITE_CONSTRAINT_UNIQUE",
    rawCode: 2067,
  });
  expect(mapUnavailable(constraint)).toBe(constraint);
  expect(sqliteCode(new Error("something else"))).toBeUndefined();
});

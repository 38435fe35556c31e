import { expect, it } from "vitest";
import { namesOf } from "./customer-names.ts";

const berg = { first_name: "Anna", last_name: "Berg" };
const before = { name: "Anna Berg" };
const dr = { name: "Dr. Anna Maria Berg" };

it.each([
  // From the whole alone, as it came from a build of before, an import or a provider.
  [before, { ...before, first_name: "", last_name: "" }, {}],
  [before, { first_name: "Anna" }, { parts: { first_name: "Anna" } }],
  [before, { ...before, first_name: "Anna", last_name: "" }, { parts: { first_name: "Anna" } }],
  [
    { ...before, first_name: "Anna" },
    { last_name: "Lund" },
    { name: "Anna Lund", parts: { ...berg, last_name: "Lund" } },
  ],
  [before, { first_name: "Anne", last_name: "Berg" }, { name: "Anne Berg", parts: { ...berg, first_name: "Anne" } }],
  [dr, { ...dr, ...berg }, { parts: berg }],
  [{ ...dr, ...berg }, { ...dr, ...berg }, {}],
  [
    { ...dr, ...berg },
    { ...dr, ...berg, last_name: "Lund" },
    { name: "Anna Lund", parts: { ...berg, last_name: "Lund" } },
  ],
  [{ ...dr, ...berg }, { ...dr, first_name: "Maria" }, { parts: { ...berg, first_name: "Maria" } }],
  [dr, berg, { ...before, parts: berg }],
  [before, { name: "Anna Lund", first_name: "", last_name: "" }, { name: "Anna Lund", parts: {} }],
  [before, { name: "" }, { name: null, parts: {} }],
  // From nothing, or parts that an earlier build kept empty.
  [{}, { first_name: "Anna" }, { name: "Anna", parts: { first_name: "Anna" } }],
  [{}, { name: null, ...berg }, { ...before, parts: berg }],
  [{}, { name: "", ...berg }, { ...before, parts: berg }],
  [{ ...before, first_name: "", last_name: "" }, { ...before, first_name: "", last_name: "" }, {}],
  // From both parts.
  [{ ...before, ...berg }, { ...before, ...berg }, {}],
  [{ ...before, ...berg }, { name: "", ...berg }, {}],
  [{ ...before, ...berg }, { ...before, first_name: "", last_name: "" }, { parts: {} }],
  [{ ...before, ...berg }, { ...before, first_name: "Anna", last_name: "" }, { parts: { first_name: "Anna" } }],
  [{ ...before, ...berg }, { last_name: "" }, { name: "Anna", parts: { first_name: "Anna" } }],
  [
    { ...before, ...berg },
    { first_name: "", last_name: "" },
    { name: null, parts: {} },
  ],
  [
    { ...before, ...berg },
    { ...before, ...berg, last_name: "Lund" },
    { name: "Anna Lund", parts: { ...berg, last_name: "Lund" } },
  ],
  [{ name: "Dr Berg", ...berg }, { first_name: "", last_name: "" }, { parts: {} }],
  // From one.
  [
    { name: "Cher", first_name: "Cher" },
    { name: "Cher", first_name: "Cherilyn" },
    { name: "Cherilyn", parts: { first_name: "Cherilyn" } },
  ],
] as const)("from %j by %j comes %j", (held, given, changed) => {
  expect(namesOf(given, held)).toEqual(changed);
});

import { expect, it } from "vitest";
import { builtFrom } from "./built-from.ts";

const place = "storage/sqlite/writer-thread";

it.each([
  ["file:///app/dist", "file:///app/dist"],
  ["file:///usr/src/app/dist", "file:///usr/src/app/dist"],
  ["file:///home/ada/src/latchkey/dist", "file:///home/ada/src/latchkey/dist"],
])("finds what is built in %s beside what runs there", (folder, built) => {
  const here = `${folder}/storage/sqlite/built-from.js`;
  expect(builtFrom(`${folder}/${place}.ts`, here)).toBe(`${built}/${place}.js`);
  expect(builtFrom(`${folder}/limits/store.js`, here)).toBe(`${built}/limits/store.js`);
});

it.each([
  ["file:///app/src", "file:///app/dist"],
  ["file:///usr/src/app/src", "file:///usr/src/app/dist"],
])("finds what was built from %s", (folder, built) => {
  const here = `${folder}/storage/sqlite/built-from.ts`;
  expect(builtFrom(`${folder}/${place}.ts`, here)).toBe(`${built}/${place}.js`);
  expect(builtFrom(`${folder}/limits/store.ts?t=17`, here)).toBe(`${built}/limits/store.js`);
});

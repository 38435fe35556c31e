import { Type } from "typebox";
import { expect, it } from "vitest";
import { AS_SENT, Uuid } from "./contract.ts";
import { otherAddress, readerOf } from "./other-spellings.ts";

const ID = "0193E4A0-9D2B-7C31-8A4E-0C5D6E7F8091";
const read = (schema: object, value: object) => {
  const copy = structuredClone(value);
  readerOf(schema)?.(copy);
  return copy;
};

it("reads a uuid in capitals where one is declared, in lists and alternatives too, and changes nothing else", () => {
  const schema = Type.Object({
    id: Uuid("one"),
    client_id: Type.String({ format: "uuid-or-name" }),
    roles: Type.Optional(Type.Array(Type.Object({ id: Uuid("one") }))),
    other: Type.Union([Type.Null(), Type.Object({ id: Uuid("one") })]),
    state: Type.String(),
  });
  const sent = {
    id: ID,
    client_id: "Till-1",
    roles: [{ id: ID, name: ID }, null],
    other: { id: ID },
    state: ID,
    x: ID,
  };
  const id = ID.toLowerCase();
  expect(read(schema, sent)).toEqual({ ...sent, id, roles: [{ id, name: ID }, null], other: { id } });
  for (const odd of [{ id: `${ID}0` }, { id: `{${ID}}` }, { id: 5 }, { roles: ID }, { roles: { id: ID } }, []])
    expect(read(schema, odd), JSON.stringify(odd)).toEqual(odd);
});

it("leaves out what says nothing, save where that is a value, or has to be there", () => {
  const schema = Type.Object(
    {
      needed: Type.String({ minLength: 1 }),
      at_times: Type.Optional(Type.String({ minLength: 1 })),
      kind: Type.Optional(Type.Enum(["a", "b"])),
      limit: Type.Integer({ default: 10 }),
      digits: Type.Optional(Type.String({ pattern: "^\\d{6}$" })),
      text: Type.Optional(Type.String()),
      inner: Type.Optional(Type.Object({ kind: Type.Optional(Type.Enum(["a"])), name: Type.Optional(Type.String()) })),
      off: Type.Optional(Type.Union([Type.Null(), Type.String({ minLength: 1 })])),
      any: Type.Optional(Type.Unknown()),
    },
    // biome-ignore lint/suspicious/noThenProperty: a keyword of JSON Schema
    { if: {}, then: { required: ["at_times"] } },
  );
  const nothing = (value: unknown) => Object.fromEntries(Object.keys(schema.properties).map((name) => [name, value]));
  expect(read(schema, nothing(null))).toEqual({ off: null, any: null });
  expect(read(schema, nothing(""))).toEqual({ needed: "", at_times: "", text: "", any: "" });
  expect(read(schema, { inner: { kind: "", name: "", more: null } })).toEqual({ inner: { name: "", more: null } });
  expect(read(schema, { unknown: null, kind: 0, text: false })).toEqual({ unknown: null, kind: 0, text: false });
});

it("leaves out nothing of a change, nor what says who somebody is", () => {
  const schema = Type.Object({
    id: Uuid("one"),
    scope: Type.Optional(Type.Array(Type.String())),
    session: Type.Optional(Type.String({ ...AS_SENT, minLength: 1 })),
  });
  const sent = { id: ID, scope: null, session: "" };
  expect(read(schema, sent)).toEqual({ id: ID.toLowerCase(), session: "" });
  readerOf(schema, true)?.(sent);
  expect(sent).toEqual({ id: ID.toLowerCase(), scope: null, session: "" });
});

it("takes an object at its word that says it takes nothing else, and one that declares nothing", () => {
  const closed: object = Type.Object(
    { name: Type.Optional(Type.String({ minLength: 1 })) },
    { additionalProperties: false },
  );
  expect(readerOf(closed)).toBeUndefined();
  expect(readerOf(Type.Record(Type.String(), Type.String()))).toBeUndefined();
  expect(readerOf(Type.Null())).toBeUndefined();
});

it.each([
  ["/v1/accounts/T1/auth/token/", "/v1/accounts/T1/auth/token"],
  ["/v1//accounts/T1//auth//token?a=//b/", "/v1/accounts/T1/auth/token?a=//b/"],
  ["//v1/account/user/", "/v1/account/user"],
  ["/v1/accounts/T1/customers/users/?email=a", "/v1/accounts/T1/customers/users?email=a"],
  ["/v1/accounts/T1/management/users/x%2F/", "/v1/accounts/T1/management/users/x%2F"],
])("knows the address that %s means", (sent, meant) => {
  expect(otherAddress(sent)).toBe(meant);
  expect(otherAddress(meant)).toBe(meant);
});

it.each([
  "/v1/accounts/T1/oauth/token/",
  "/v1/accounts/T1//oauth/token",
  "/v1//accounts/T1/.well-known/openid-configuration",
  "/v1/accounts/T1/.well-known/openid-configuration/",
  "/v1/accounts/T1/",
  "/v1/accounts/T1/login/",
  "/v1/accounts/T1/sandbox/",
  "/v1/accounts/T1/authority/",
  "/v1/accounts/T1/auth/users//change_username",
  "/docs/",
  "//",
])("leaves %s as it is", (sent) => expect(otherAddress(sent)).toBe(sent));

it("looks at an address of slashes alone no longer than at any other", () => {
  const began = performance.now();
  for (const odd of ["/".repeat(60_000), `/v1/accounts/${"a/".repeat(30_000)}`, `/v1${"/".repeat(60_000)}accounts`])
    otherAddress(odd);
  expect(performance.now() - began).toBeLessThan(500);
});

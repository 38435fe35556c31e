/**
 * Requests grown from openapi.json by a seeded generator: most parts fit their schema, some nearly do, and some are
 * hostile. Fast enough for a million of them: nothing here shrinks, a seed and a number name a request.
 */
import type { Random } from "./random.ts";

export interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly default?: unknown;
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly required?: readonly string[];
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
}

export interface Operation {
  readonly operationId: string;
  readonly path: string;
  readonly method: string;
  readonly parameters?: readonly { name: string; in: string; required?: boolean; schema?: Schema }[];
  readonly requestBody?: { content: Record<string, { schema: Schema }> };
  readonly responses: Readonly<Record<string, unknown>>;
}

/** Values that mean something where the requests go, by the name of a parameter or property. */
export type Known = Readonly<Record<string, readonly unknown[]>>;

export interface Grown {
  readonly method: string;
  readonly path: string;
  readonly headers: Readonly<Record<string, string | string[]>>;
  readonly body?: Buffer | undefined;
  /** Nothing hostile was put in on purpose. */
  readonly tame: boolean;
}

/** A request that its operation takes. */
export interface Usual {
  readonly path: string;
  readonly headers: Readonly<Record<string, string>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body?: object | undefined;
}

export interface Credentials {
  readonly oid: string;
  readonly bearer: string;
  readonly basic: string;
}

const HOSTILE: readonly unknown[] = [
  "",
  " ",
  "\0",
  "\ud800",
  "a\udfff",
  "\udc00\ud83d",
  "../../etc/passwd",
  "' or 1=1 --",
  "%00%ff",
  "%",
  "<script>",
  "a".repeat(3_000),
  "9".repeat(400),
  "👩‍👩‍👧",
  "__proto__",
  "constructor",
  "T00000000",
  "{{7*7}}",
  "\r\nSet-Cookie: x=1",
  -1,
  1.5,
  1e308,
  2 ** 53,
  null,
  true,
  [],
  {},
  ["x", ["y"]],
  [[[[[[[[[[1]]]]]]]]]],
  { constructor: { prototype: 1 } },
];

const BYTES: readonly string[] = [
  "{",
  "[",
  '{"a":',
  "\ufeff{}",
  "null",
  "0",
  '"',
  "a=1&a=2",
  "a=%zz",
  "\xff\xfe",
  "%00=1",
  "{}{}",
  "<x/>",
];
const JSON_TYPE = "application/json";
const FORM = "application/x-www-form-urlencoded";
const TYPES: readonly string[] = [
  JSON_TYPE,
  FORM,
  "text/plain",
  "application/json; charset=latin1",
  "multipart/form-data; boundary=x",
  "x",
  "",
];
const HEADERS: Readonly<Record<string, readonly string[]>> = {
  dpop: ["x", "a.b.c", "eyJhbGciOiJub25lIn0.e30."],
  accept: ["*/*", "text/html", "application/jwt", "\xff"],
  "accept-language": ["nb", "*;q=0", "x".repeat(500)],
  "end-user-ip": ["203.0.113.9", "::1", "x", "999.1.1.1"],
  cookie: ["__Host-lk_T00000001=x", "lk_T00000001=%00; lk_T00000001=y", "="],
  forwarded: ["for=1.2.3.4;proto=https", 'for="[::1]', ";;,,"],
  origin: ["https://evil.example", "null"],
  "x-forwarded-for": ["1.2.3.4", "'"],
  "if-none-match": ["*"],
  expect: ["x"],
};

/**
 * `usual`: what the request is grown from half of the time, and otherwise, or without it, from the schema alone. Seldom
 * of a removal: the others miss what is gone.
 */
export function grow(
  operation: Operation,
  known: Known,
  credentials: Credentials,
  random: Random,
  usual: readonly (() => Usual)[] = [],
): Grown {
  const { below, chance, pick: oneOf } = random;
  /** How much of a request is hostile, from 0 to 1. */
  const hostility = chance(0.4) ? 0 : random.next() * 0.5;
  const hostile = () => oneOf(HOSTILE);
  const begun = usual.length > 0 && chance(operation.method === "DELETE" ? 0.1 : 0.5) ? oneOf(usual)() : undefined;

  /** The same, with some of its values hostile. */
  const changed = (values: object): Record<string, unknown> => {
    const object = Object.fromEntries(
      Object.entries(values).map(([name, value]) => [name, chance(hostility) ? hostile() : value]),
    );
    if (chance(hostility)) object[String(hostile()) || "x"] = hostile();
    return object;
  };

  function fitting(schema: Schema | undefined, name: string, depth = 0): unknown {
    if (chance(hostility)) return hostile();
    const means = known[name];
    if (means && chance(0.8)) return oneOf(means);
    if (!schema) return oneOf(known.any ?? ["x"]);
    if (schema.anyOf) return fitting(oneOf(schema.anyOf), name, depth);
    if (schema.enum) return oneOf(schema.enum);
    switch (schema.type) {
      case "integer":
      case "number":
        return (schema.minimum ?? 0) + below((schema.maximum ?? 100) - (schema.minimum ?? 0));
      case "boolean":
        return chance(0.5);
      case "null":
        return null;
      case "array":
        return Array.from({ length: below(3) }, () => fitting(schema.items, name, depth + 1));
      case "object":
        return depth > 4 ? {} : filled(schema, depth);
      default:
        return String(oneOf(known.any ?? ["x"]));
    }
  }

  function filled({ properties = {}, required = [] }: Schema, depth: number): Record<string, unknown> {
    const wanted = Object.entries(properties).filter(([name]) =>
      required.includes(name) ? !chance(hostility / 4) : chance(known[name] ? 0.5 : 0.25),
    );
    const object = Object.fromEntries(wanted.map(([name, schema]) => [name, fitting(schema, name, depth + 1)]));
    if (chance(hostility)) object[String(hostile()) || "x"] = hostile();
    return object;
  }

  const parameters = (place: string) => (operation.parameters ?? []).filter((one) => one.in === place);
  const grown = operation.path.replace(/\{(\w+)\}/g, (_, name: string) => {
    if (name === "oid" && !chance(hostility / 4)) return credentials.oid;
    return escaped(asText(fitting(undefined, name))) || "x";
  });
  const path = begun && !chance(hostility) ? begun.path : grown;
  const query = Object.entries(changed(begun?.query ?? {})).map(
    ([name, value]) => `${escaped(name)}=${escaped(asText(value))}`,
  );
  for (const { name, required = false, schema } of begun ? [] : parameters("query")) {
    if (!(required ? !chance(hostility / 4) : chance(known[name] ? 0.6 : 0.3))) continue;
    query.push(`${name}=${escaped(asText(fitting(schema, name)))}`);
    if (chance(hostility / 4)) query.push(`${name}=x`);
  }
  if (chance(hostility / 4)) query.push(oneOf(["%", "%zz=1", "=", "&&", "a=%ff", "%00=x", "x[]=1", "__proto__=1"]));
  const headers: Record<string, string | string[]> = { ...begun?.headers };
  if (!headers.authorization || chance(hostility / 2)) headers.authorization = authorization();
  if (chance(hostility)) {
    const name = oneOf(Object.keys(HEADERS));
    headers[name] = oneOf(HEADERS[name] ?? ["x"]);
  }
  const body = (begun ? begun.body : operation.requestBody)
    ? written()
    : chance(hostility / 4)
      ? Buffer.from(oneOf(BYTES), "latin1")
      : undefined;
  return {
    method: operation.method,
    path: `${path}${query.length > 0 ? `?${query.join("&")}` : ""}`,
    headers: Object.fromEntries(Object.entries(headers).filter(([, value]) => value !== "")),
    body,
    tame: hostility === 0,
  };

  function authorization(): string {
    if (chance(hostility / 2))
      return oneOf(["", "Bearer x", "Bearer a.b.c", "Basic !!!", "Basic OjpvOg==", "DPoP x", "Bearer  ", "\xff"]);
    if (/\/oauth\/|auth\/token$/.test(operation.path)) return chance(0.7) ? credentials.basic : credentials.bearer;
    return credentials.bearer;
  }

  function written(): Buffer {
    const content = operation.requestBody?.content ?? {};
    const schema = Object.values(content)[0]?.schema;
    if (chance(hostility / 4)) {
      headers["content-type"] = oneOf(TYPES);
      return Buffer.from(oneOf(BYTES), "latin1");
    }
    const value = begun?.body ? changed(begun.body) : fitting(schema, "body");
    const forms = FORM in content ? (/\/oauth\//.test(operation.path) ? 0.7 : 0.3) : 0.1;
    const asForm = typeof value === "object" && value !== null && (!(JSON_TYPE in content) || chance(forms));
    headers["content-type"] = asForm ? FORM : JSON_TYPE;
    if (chance(hostility / 4)) headers["content-type"] = oneOf(TYPES);
    if (!asForm) return Buffer.from(JSON.stringify(value) ?? "");
    return Buffer.from(
      Object.entries(value)
        .map(([name, one]) => `${escaped(name)}=${escaped(asText(one))}`)
        .join("&"),
    );
  }
}

const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value)) ?? "";

/** Like encodeURIComponent, but lone surrogates and raw bytes go out as well. */
function escaped(text: string): string {
  return [...Buffer.from(text, "utf8")]
    .map((byte) =>
      /[\w.~-]/.test(String.fromCharCode(byte)) ? String.fromCharCode(byte) : `%${byte.toString(16).padStart(2, "0")}`,
    )
    .join("");
}

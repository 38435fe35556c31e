/**
 * Requests grown from openapi.json, valid, nearly valid and hostile: no input gives a 5xx, and every refusal has the shape
 * that the documents promise. FUZZ_RUNS sets how many per operation.
 */
import fc from "fast-check";
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import { basic, call, createTenant, type Latchkey, mintCode, startLatchkey, type Tenant } from "../support/latchkey.ts";

interface Schema {
  readonly type?: string;
  readonly enum?: readonly unknown[];
  readonly properties?: Readonly<Record<string, Schema>>;
  readonly items?: Schema;
  readonly anyOf?: readonly Schema[];
  readonly minimum?: number;
  readonly maximum?: number;
}

interface Operation {
  readonly operationId: string;
  readonly path: string;
  readonly method: string;
  readonly parameters?: readonly { name: string; in: string; schema?: Schema }[];
  readonly requestBody?: { content: Record<string, { schema: Schema }> };
}

interface Parts {
  readonly path: Readonly<Record<string, unknown>>;
  readonly query: Readonly<Record<string, unknown>>;
  readonly body: unknown;
  readonly form: boolean;
}

const RUNS = Number(process.env.FUZZ_RUNS ?? 40);

const hostile = fc.oneof(
  fc.constantFrom<unknown>(
    "",
    " ",
    "\0",
    "\ud800",
    "../../etc/passwd",
    "' or 1=1 --",
    "%00%ff",
    "<script>",
    "a".repeat(70_000),
    "9".repeat(400),
    "👩‍👩‍👧",
    -1,
    1.5,
    1e308,
    2 ** 53,
    null,
    true,
    [],
    {},
    ["x", ["y"]],
    { __proto__: null, constructor: { prototype: 1 } },
  ),
  fc.string({ unit: "binary", maxLength: 50 }),
  fc.jsonValue({ maxDepth: 2 }),
);

function valuesOf(schema: Schema | undefined, known: readonly string[]): fc.Arbitrary<unknown> {
  return fc.oneof({ weight: 6, arbitrary: fitting(schema, known) }, { weight: 1, arbitrary: hostile });
}

function fitting(schema: Schema | undefined, known: readonly string[]): fc.Arbitrary<unknown> {
  if (!schema) return hostile;
  if (schema.anyOf) return fc.oneof(...schema.anyOf.map((option) => fitting(option, known)));
  if (schema.enum) return fc.constantFrom(...schema.enum);
  switch (schema.type) {
    case "integer":
    case "number":
      return fc.integer({ min: schema.minimum ?? -10, max: schema.maximum ?? 1_000 });
    case "boolean":
      return fc.boolean();
    case "array":
      return fc.array(valuesOf(schema.items, known), { maxLength: 4 });
    case "object":
      return fc.record(
        Object.fromEntries(
          Object.entries(schema.properties ?? {}).map(([name, property]) => [name, valuesOf(property, known)]),
        ),
        { requiredKeys: [] },
      );
    case "null":
      return fc.constant(null);
    default:
      return fc.oneof({ weight: 3, arbitrary: fc.constantFrom(...known) }, { weight: 1, arbitrary: fc.string() });
  }
}

const asText = (value: unknown) => (typeof value === "string" ? value : JSON.stringify(value)) ?? "";
/** Like encodeURIComponent, but lone surrogates and raw bytes go out as well. */
const percent = (text: string) =>
  [...Buffer.from(text, "utf8")].map((byte) => `%${byte.toString(16).padStart(2, "0")}`).join("");

describeOnBothEngines("hostile requests", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let operations: Operation[];
  let known: string[];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, Operation>>;
    };
    operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
    );
    const { client, user, audience, issuer } = tenant;
    known = [client.id, client.client_id, user.id, user.email, user.phone_number, audience, issuer].concat([
      await mintCode(tenant),
      "openid",
      "https://shop.example/callback",
      "email",
      "123456",
      "x",
    ]);
  });
  afterAll(() => latchkey.close());

  async function send(operation: Operation, { path, query, body, form }: Parts, token: string) {
    const target = operation.path.replace(/\{(\w+)\}/g, (_, name) =>
      name === "oid" ? tenant.account_id : percent(asText(path[name])) || "x",
    );
    const search = Object.entries(query)
      .map(([name, value]) => `${name}=${percent(asText(value))}`)
      .join("&");
    const takesBody = operation.requestBody !== undefined;
    const flat = Object.entries((typeof body === "object" && body) || {}).map(([name, value]) => [name, asText(value)]);
    const basicAuth = operation.path.endsWith("/token") && Math.random() < 0.8;
    return call(`${latchkey.url}${target}${search ? `?${search}` : ""}`, {
      method: operation.method,
      ...(basicAuth ? { headers: { authorization: basic(tenant.client) } } : { token }),
      ...(takesBody && form ? { form: Object.fromEntries(flat) } : {}),
      ...(takesBody && !form ? { json: body } : {}),
    });
  }

  it("are refused in the documented shape, never with a 5xx", async () => {
    let refused = 0;
    for (const operation of operations) {
      // What closes the door behind it would end the run.
      if (operation.operationId === "aid_auths_clients_id_delete")
        known = known.filter((id) => id !== tenant.client.id);
      const parameters = (place: string) =>
        fc.record(
          Object.fromEntries(
            (operation.parameters ?? [])
              .filter((parameter) => parameter.in === place && parameter.name !== "oid")
              .map(({ name, schema }) => [name, valuesOf(schema, known)]),
          ),
          place === "path" ? {} : { requiredKeys: [] },
        );
      const schema = Object.values(operation.requestBody?.content ?? {})[0]?.schema;
      const part = fc.record({
        path: parameters("path"),
        query: parameters("query"),
        body: valuesOf(schema, known),
        form: fc.boolean(),
      });
      for (let run = 0; run < RUNS; run++) {
        const [parts] = fc.sample(part, 1) as [Parts];
        const reply = await send(operation, parts, tenant.token);
        const what = `${operation.operationId}: ${reply.status} ${reply.text} to ${JSON.stringify(parts).slice(0, 2_000)}`;
        expect(reply.status, what).toBeLessThan(500);
        if (reply.status < 400 || operation.method === "HEAD") continue;
        refused += 1;
        const { error } = reply.body;
        // What Node refuses before it knows the path has one shape.
        const isStandard = reply.status !== 431 && /\/oauth\/|well-known/.test(operation.path);
        expect(isStandard ? error : error.code, what).toMatch(/^[a-z_]+$/);
        expect((isStandard ? reply.body.error_description : error.message).length, what).toBeGreaterThan(5);
        expect(reply.headers.get("request-id"), what).toMatch(/^[\w-]{16}$/);
      }
    }
    expect(refused).toBeGreaterThan(RUNS);
  });
});

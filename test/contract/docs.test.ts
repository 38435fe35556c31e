/** The description of all operations and its viewer, which are made when somebody first asks. No engine has a part in it. */
import { afterAll, beforeAll, describe, expect, it, vi } from "vitest";
import { basic, call, createTenant, type Latchkey, startLatchkey } from "../support/latchkey.ts";

interface Operation {
  readonly parameters?: readonly { readonly name: string; readonly schema: { readonly pattern?: string } }[];
  readonly requestBody?: { readonly required?: boolean };
  readonly security?: readonly object[];
}

describe("the documents of the interface", () => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey("sqlite");
  });
  afterAll(() => latchkey.stop());

  it("declare for every operation with a bearer what a page hears that its client does not list", async () => {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, { get?: { responses: Record<string, { description: string }> } }>;
    };
    const names = ["auth/roles", "auth/clients", "management/users", "auth/settings"];
    for (const path of [...names.map((name) => `/v1/accounts/{oid}/${name}`), "/v1/account/user"]) {
      const { description = "" } = paths[path]?.get?.responses["403"] ?? {};
      expect(description.split("`unauthorized_client`"), path).toHaveLength(2);
    }
  });

  it("say whose token every operation with a bearer takes", async () => {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, { description?: string; security?: readonly object[] }>>;
    };
    const said = (method: string, path: string) =>
      /^Takes (.*) token\.( Scopes, any of: `[^`]+`.*)?$/m.exec(paths[path]?.[method]?.description ?? "")?.[1];
    expect(said("post", "/v1/accounts/{oid}/auth/revoke")).toBe("a client's");
    expect(said("get", "/v1/accounts/{oid}/auth/keys")).toBe("a client's or a person's");
    expect(said("post", "/v1/account/user/password")).toBe("a person's");
    expect(said("post", "/v1/accounts/{oid}/auth/token"), "as its grant_type wants").toBeUndefined();
    for (const [path, methods] of Object.entries(paths))
      for (const [method, { security = [] }] of Object.entries(methods))
        if (JSON.stringify(security) === '[{"JWT":[]}]' && !path.includes("/oauth/"))
          expect(said(method, path), `${method} ${path}`).toBeDefined();
  });

  it("say what a refused value has to look like, and which fields are required where none came", async () => {
    const { base, token, client } = await createTenant(latchkey);
    const errors = async (path: string, options: object) => {
      const { status, body } = await call(`${base}${path}`, { method: "POST", token, ...options });
      expect(status, path).toBe(400);
      return body.error.errors;
    };
    const pattern = "^[PT]{1}\\d{8}$";
    expect(await errors("/auth/exchange_token", { json: { account_id: "T112" } })).toEqual([
      { path: "account_id", code: "pattern", message: `must match ${pattern}` },
    ]);
    for (const path of ["/auth/passwordless/code", "/auth/roles", "/auth/passwordless"])
      expect(await errors(path, {}), path).toEqual(await errors(path, { json: {} }));
    expect((await errors("/auth/roles", {})).map((one: { path: string }) => one.path)).toContain("scope");
    const json = { grant_type: "magic" };
    const magic = await call(`${base}/auth/token`, { method: "POST", headers: { authorization: basic(client) }, json });
    expect(magic.body.error.message).toMatch(/client_credentials.*mfa_oob.*account_user/);
  });

  it("show a viewer whose parts lie below its own address, whatever stands before that", async () => {
    const { status, headers } = await call(`${latchkey.url}/docs`);
    expect([status, headers.get("location")]).toEqual([302, "docs/"]);
    const { text } = await call(`${latchkey.url}/docs/`);
    const parts = [...text.matchAll(/(?:src|href)="([^"]+)"/g)].map(([, address = ""]) => address);
    expect(parts.length).toBeGreaterThan(3);
    for (const part of parts) {
      expect(part).not.toMatch(/^\/|:/);
      expect((await call(new URL(part, `${latchkey.url}/docs/`).href)).status, part).toBe(200);
    }
  });

  it("are the same for all who ask first at once, and after them", async () => {
    const ask = () => call(`${latchkey.url}/openapi.json`);
    const [first, ...others] = await Promise.all([ask(), ask(), ask()]);
    const texts = new Set([...others, await ask()].map(({ status, text }) => `${status} ${text}`));
    expect([...texts]).toEqual([`200 ${first.text}`]);
    const { openapi, paths, servers } = first.body as {
      openapi: string;
      paths: Record<string, object>;
      servers: object;
    };
    expect(openapi).toBe("3.1.0");
    expect(servers).toEqual([{ url: latchkey.url.replace("127.0.0.1", "localhost") }]);
    expect(Object.keys(paths["/v1/accounts/{oid}/auth/authorize"] ?? {})).toEqual(["post"]);
  });

  it("are written once, for whoever asks and by whatever address", async () => {
    const { text } = await call(`${latchkey.url}/openapi.json`);
    const written = vi.spyOn(JSON, "stringify");
    try {
      for (const address of ["/openapi.json", "/docs/json"]) {
        expect((await call(`${latchkey.url}${address}`)).text === text, address).toBe(true);
        const { status, headers } = await call(`${latchkey.url}${address}`, { method: "HEAD" });
        const about = [status, headers.get("content-type"), Number(headers.get("content-length"))];
        expect(about, address).toEqual([200, "application/json; charset=utf-8", Buffer.byteLength(text)]);
      }
      expect(written.mock.calls.filter(([value]) => value?.openapi !== undefined)).toEqual([]);
    } finally {
      written.mockRestore();
    }
  });

  it("ask for no parameter that may be left out, or stand elsewhere", async () => {
    interface Parameter {
      readonly in: string;
      readonly required?: boolean;
      readonly schema?: { readonly default?: unknown };
    }
    type Operation = { operationId: string; parameters?: Parameter[]; requestBody?: { content: object } };
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as { paths: Record<string, object> };
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods) as Operation[]);
    const asked = operations.flatMap(({ operationId, parameters = [], requestBody }) => {
      const elsewhere = requestBody && !("application/json" in requestBody.content);
      return parameters
        .filter(({ in: place, schema }) => place === "query" && (elsewhere || schema?.default !== undefined))
        .map(({ required = false }) => `${operationId}: ${required}`);
    });
    expect(asked.length).toBeGreaterThan(10);
    expect(asked.filter((one) => one.endsWith("true"))).toEqual([]);
  });

  it("let nobody send a list whose entries would be compared each with each", async () => {
    const lists: Record<string, unknown>[] = [];
    const walk = (value: unknown) => {
      if (typeof value !== "object" || value === null) return;
      if ("uniqueItems" in value) lists.push(value as Record<string, unknown>);
      Object.values(value).forEach(walk);
    };
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as { paths: Record<string, object> };
    for (const operation of Object.values(paths).flatMap(Object.values)) walk(operation.requestBody);
    expect(lists.length).toBeGreaterThan(3);
    for (const { items, maxItems } of lists) {
      expect(items).toHaveProperty("type", "string");
      expect(maxItems, JSON.stringify(items)).toBeLessThanOrEqual(250);
    }
  });

  it("say the form of an account wherever one is named, and what no operation goes without", async () => {
    const { paths } = (await call(`${latchkey.url}/openapi.json`)).body as { paths: Record<string, object> };
    const operations = Object.values(paths).flatMap((methods) => Object.values(methods) as Operation[]);
    const named = operations.flatMap(({ parameters = [] }) => parameters.filter(({ name }) => name === "oid"));
    expect(named.length).toBeGreaterThan(60);
    expect(new Set(named.map(({ schema }) => schema.pattern))).toEqual(new Set(["^[PT]{1}(?=(?:.{3}|.{8})$)[0-9]*$"]));
    const one = (method: string, path: string) =>
      (paths[`/v1/accounts/{oid}/auth/${path}`] as Record<string, Operation>)[method];
    expect(one("patch", "settings")?.requestBody?.required).toBe(true);
    expect(one("patch", "clients/{id}")?.requestBody?.required).toBe(true);
    expect(one("post", "clients")?.requestBody?.required, "a client may be made of nothing").toBe(false);
    const contact = "customers/users/{customer_id}/communication/{operation}/{field}";
    const asking = paths[`/v1/accounts/{oid}/${contact}`] as Record<string, Operation>;
    expect(asking.post?.requestBody?.required, "a code is sent without a body").toBe(false);
    expect(one("post", "token")?.security, "or a secret in the body").toEqual([{ clientAuth: [] }, { JWT: [] }, {}]);
  });

  it("have a viewer, whose page finds everything that it names", async () => {
    const page = await call(`${latchkey.url}/docs/`);
    expect(page.status).toBe(200);
    const names = [...page.text.matchAll(/(?:href|src)="([^"]+)"/g)].map(([, name]) => name as string);
    expect(names.length).toBeGreaterThan(3);
    for (const name of names) {
      const part = await call(new URL(name, `${latchkey.url}/docs/`).href);
      expect(part.status, name).toBe(200);
      expect(part.headers.get("x-content-type-options"), name).toBe("nosniff");
      expect(part.headers.get("request-id"), name).toBeTruthy();
    }
  });

  it("can be framed by nobody, tell nobody where they are read, and run no script but their own", async () => {
    for (const path of ["/docs", "/docs/", "/docs/static/swagger-initializer.js", "/docs/nothing"]) {
      const { headers } = await call(`${latchkey.url}${path}`);
      const policy = headers.get("content-security-policy") ?? "";
      expect(policy, path).toMatch(/default-src 'none';.*frame-ancestors 'none'/);
      expect(/script-src ([^;]*)/.exec(policy)?.[1], path).toBe("'self'");
      expect([headers.get("x-frame-options"), headers.get("referrer-policy")], path).toEqual(["DENY", "no-referrer"]);
    }
  });

  it("answer what is not among them like every wrong address", async () => {
    for (const path of [
      "/docs/nothing",
      "/docs/static/nothing.js",
      "/docs/../package.json",
      "/docs/%2e%2e%2fpackage.json",
    ]) {
      const { status, body, headers } = await call(`${latchkey.url}${path}`);
      expect(headers.get("access-control-allow-origin"), path).toBe("*");
      expect([status, body], path).toEqual([
        404,
        { error: { code: "not_found", message: "There is no such address." } },
      ]);
    }
  });
});

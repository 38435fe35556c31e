/** Three processes on one PostgreSQL are one server: what one of them counted, spent or deleted, all of them did. */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/engines.ts";
import { authorize, call, mintCode, receiveCode, type Tenant } from "../support/latchkey.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { wrongGuesses } from "../support/verification.ts";

const PUBLIC_URL = "http://localhost:9";

describe("three processes on one PostgreSQL", () => {
  let database: TestDatabase;
  let servers: ServerProcess[];
  beforeAll(async () => {
    database = await createTestDatabase("postgres");
    const start = () => startProcess({ database_url: database.database_url, env: { PUBLIC_URL } });
    servers = await Promise.all([start(), start(), start()]);
  });
  afterAll(async () => {
    await Promise.all(servers.map((server) => server.kill("SIGTERM")));
    await database.drop();
  });

  const at = (tenant: Tenant, n: number): Tenant => ({
    ...tenant,
    base: tenant.base.replace(/^http:\/\/[^/]+/, servers[n % 3]?.url ?? ""),
  });
  const tenantWith = (options = {}) =>
    createTenantBeside(database.database_url, servers[0]?.url ?? "", PUBLIC_URL, options);

  it("of 60 redemptions of one code exactly one is a 302", async () => {
    const tenant = await tenantWith();
    const verification_code = await mintCode(at(tenant, 1));
    const replies = await Promise.all(
      Array.from({ length: 60 }, (_, n) => authorize(at(tenant, n), { verification_code })),
    );
    expect(replies.filter(({ status }) => status === 302)).toHaveLength(1);
    expect(replies.filter(({ body }) => body?.error?.code === "verification_code_used")).toHaveLength(59);
  });

  it("of 200 wrong guesses at once 5 answer 400, 195 answer 429, and the right code answers 429 everywhere", async () => {
    const tenant = await tenantWith({ client: { code_format: "numeric" } });
    const right = await receiveCode(at(tenant, 2));
    const ident = { ident_type: "email", ident: tenant.user.email };
    const guesses = wrongGuesses(right, 200);
    const guess = (verification_code: string, n: number) => authorize(at(tenant, n), { verification_code, ...ident });
    const replies = await Promise.all(guesses.map(guess));
    expect(replies.filter(({ status }) => status === 400)).toHaveLength(5);
    expect(replies.filter(({ status }) => status === 429)).toHaveLength(195);
    for (const n of [0, 1, 2])
      expect((await authorize(at(tenant, n), { verification_code: right, ...ident })).status).toBe(429);
  });

  it("a delete on one stops issuing on all at once, and tokens within 5 s", async () => {
    const tenant = await tenantWith();
    for (const n of [0, 1, 2])
      expect((await call(`${at(tenant, n).base}/auth/clients`, { token: tenant.token })).status).toBe(200);
    const verification_code = await mintCode(at(tenant, 2));
    const second = await mintCode(at(tenant, 2));
    expect((await authorize(at(tenant, 1), { verification_code })).status).toBe(302);
    expect(
      (await call(`${at(tenant, 0).base}/auth/clients/${tenant.client.id}`, { method: "DELETE", token: tenant.token }))
        .status,
    ).toBe(200);
    const issued = await authorize(at(tenant, 1), { verification_code: second });
    expect([401, 403]).toContain(issued.status);
    const basic = Buffer.from(`${tenant.client.id}:${tenant.client.client_secret}`).toString("base64");
    const token = {
      method: "POST",
      headers: { authorization: `Basic ${basic}` },
      json: { grant_type: "client_credentials", audience: tenant.audience },
    };
    for (const n of [0, 1, 2]) expect((await call(`${at(tenant, n).base}/auth/token`, token)).status).toBe(401);
    const gone = async (n: number) =>
      (await call(`${at(tenant, n).base}/auth/clients`, { token: tenant.token })).status === 401 ? true : undefined;
    for (const n of [0, 1, 2]) await until("the token to die", () => gone(n), 5_000);
  });

  it("makes one first key for an account, whoever is asked", async () => {
    const tenant = await tenantWith();
    const keys = await Promise.all([0, 1, 2, 0, 1, 2].map((n) => call(`${at(tenant, n).base}/oauth/jwks.json`)));
    const kids = new Set(keys.flatMap(({ body }) => body.keys.map(({ kid }: { kid: string }) => kid)));
    expect(kids.size).toBe(2);
  });
});

/**
 * Chapter 16 of OWASP ASVS 5.0: what is written down of what happened, and what errors say. docs/security-tests.md
 * lists all rows.
 */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLogger } from "../../src/telemetry/log.ts";
import { startBreakable } from "../support/breakable.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addGrant,
  authorize,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
  tokenOf,
} from "../support/latchkey.ts";
import { addPerson, PASSWORD, token } from "../support/people.ts";

const UTC = /^\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d\.\d{3}Z$/;

describeOnBothEngines("OWASP ASVS 5.0 about what is written down", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  const logs: string[] = [];
  beforeAll(async () => {
    latchkey = await startLatchkey(engine, { log: openLogger("info", { write: (line) => void logs.push(line) }) });
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const lines = () =>
    logs
      .join("")
      .trim()
      .split("\n")
      .map((line) => JSON.parse(line));
  /** The log line of the last request that this account made on a route. */
  const lineOf = (route: string) =>
    lines().findLast((line) => line.account_id === tenant.account_id && String(line.route).endsWith(route));
  const events = async () => {
    const { read } = latchkey.server.core.storage;
    const rows = await read
      .selectFrom("audit_events")
      .selectAll()
      .where("account_id", "=", tenant.account_id)
      .execute();
    return rows.map((row) => ({ ...row, context: JSON.parse(row.context) }));
  };

  it("16.2.1 says who did what, when, from where and with what outcome, in JSON and UTC", async () => {
    const verification_code = await mintCode(tenant);
    const reply = await authorize(tenant, { verification_code }, { headers: { "user-agent": "asvs" } });
    const request_id = reply.headers.get("request-id");
    expect(lineOf("/auth/authorize")).toMatchObject({
      level: "info",
      time: expect.stringMatching(UTC),
      request_id,
      method: "POST",
      status: 302,
      account_id: tenant.account_id,
    });
    const redeemed = (await events()).find(({ action }) => action === "verification_code.redeemed");
    expect(redeemed).toMatchObject({
      created_at: expect.stringMatching(UTC),
      outcome: "success",
      actor: tenant.client.id,
      entity: expect.stringMatching(/^[0-9a-f-]{36}$/),
      context: { request_id, ip: expect.any(String) },
    });
  });

  it("16.3.1 writes down every attempt to log in, right or wrong, and by what", async () => {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    const about = { grant_type: "password", username: person.email, audience: tenant.audience };
    await authorize(tenant, { verification_code: await mintCode(tenant) });
    await authorize(tenant, { verification_code: "7KQM4-X2PVD" });
    await token(tenant, { ...about, password: "wrong password" });
    const { mfa_token } = (await token(tenant, { ...about, password: PASSWORD })).body;
    const asking = { challenge_type: "oob", mfa_token };
    const { body } = await call(`${tenant.base}/auth/mfa/challenge`, {
      method: "POST",
      token: tenant.token,
      json: asking,
    });
    const finishing = { grant_type: "mfa_oob", mfa_token, oob_code: body.oob_code };
    await token(tenant, { ...finishing, binding_code: "nonsense" });
    const [message] = await inbox(tenant, person.phone_number);
    expect((await token(tenant, { ...finishing, binding_code: message?.verification_code })).status).toBe(200);
    const seen = (await events()).map(({ action, outcome, context }) =>
      [action, ...(context.factor ? [context.factor] : []), outcome].join(" "),
    );
    for (const expected of [
      "verification_code.redeemed success",
      "verification_code.refused failure",
      "password.refused failure",
      "auth.token password success",
      "second_factor.challenged success",
      "second_factor.refused failure",
      "second_factor.accepted sms success",
    ])
      expect(seen).toContain(expected);
    const refused = (await events()).find(({ action }) => action === "verification_code.refused");
    expect(refused?.context).toMatchObject({ reason: "invalid_verification_code", format: "typable" });
  });

  it("16.3.2 writes down what was refused for want of a scope", async () => {
    const weak = await addClient(latchkey, tenant.account_id);
    await addGrant(latchkey, tenant.account_id, weak, tenant.issuer, ["read:accounts"]);
    const bearer = await tokenOf(latchkey, tenant.account_id, weak);
    const { status } = await call(`${tenant.base}/auth/clients`, {
      method: "POST",
      token: bearer,
      json: { name: "x" },
    });
    expect(status).toBe(403);
    expect(lineOf("/auth/clients")).toMatchObject({ status: 403, code: "insufficient_scope", method: "POST" });
  });

  it("16.4.1 keeps to one line whatever a caller puts into names and headers", async () => {
    const before = lines().length;
    const forged = '\\n{"level":"info","msg":"forged"}\\r\\n';
    const path = `/v1/accounts/${tenant.account_id}/auth/clients/${encodeURIComponent(`a\n${forged}`)}`;
    await call(`${latchkey.url}${path}?x=${encodeURIComponent(`\r\n${forged}`)}`, {
      token: tenant.token,
      headers: { "user-agent": forged, "x-request-id": forged },
    });
    const added = lines().slice(before);
    expect(added.length).toBeGreaterThan(0);
    expect(JSON.stringify(added)).not.toContain("forged");
  });

  it("16.5.1 says of what went wrong inside only where to look for it, and lets nobody in", async () => {
    const broken = await startBreakable(engine, { log: openLogger("info", { write: (line) => void logs.push(line) }) });
    const own = await createTenant(broken);
    const verification_code = await mintCode(own);
    const form = { grant_type: "client_credentials", audience: own.audience };
    const headers = { authorization: basic(own.client) };
    broken.cut();
    const replies = await Promise.all([
      authorize(own, { verification_code }),
      call(`${own.base}/auth/settings`, { method: "PATCH", token: own.token, json: { locale: "nb" } }),
      call(`${own.base}/oauth/token`, { method: "POST", headers, form }),
    ]);
    for (const { status, body, headers } of replies)
      expect([status, body.error.code ?? body.error, headers.get("retry-after")]).toEqual([
        ...[503, "temporarily_unavailable", "1"],
      ]);
    const { storage } = broken.server.core;
    Object.defineProperty(storage, "read", {
      get: () => {
        throw new Error("select 1: sqlite or postgres failed at storage.ts");
      },
    });
    const failed = await call(`${own.base}/auth/roles`, { token: own.token });
    const request_id = failed.headers.get("request-id");
    const message = `The server failed. Request-Id: ${request_id}`;
    expect([failed.status, failed.body]).toEqual([500, { error: { code: "internal_error", message } }]);
    for (const reply of [...replies, failed]) {
      expect(reply.headers.get("location")).toBeNull();
      expect(reply.text).not.toMatch(/select|insert|update|sqlite|postgres|libsql|\.ts|node_modules| at /i);
      expect(reply.headers.get("request-id")).toMatch(/^[\w-]{16}$/);
    }
    // Workers fail as well, and belong to no request.
    const failures = lines().filter(({ level, err, request_id }) => level === "error" && err && request_id);
    const ids = [...replies, failed].map((reply) => reply.headers.get("request-id"));
    expect(failures.map((line) => line.request_id).toSorted()).toEqual(ids.toSorted());
    for (const { err } of failures) expect(err).toMatchObject({ type: expect.any(String) });
    await broken.close().catch(() => {});
  });
});

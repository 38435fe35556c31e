/**
 * Many clients who never finish what they say: everybody else is served meanwhile, they are told so in time, and
 * nothing of them stays.
 */
import { readdirSync } from "node:fs";
import { Agent, request } from "node:http";
import { connect } from "node:net";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createTestDatabase, type TestDatabase } from "../support/engines.ts";
import { authorize, basic, mintCode, type Tenant } from "../support/latchkey.ts";
import { judge, startLoad } from "../support/load.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { pause } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";
const CLIENTS = 200;
/** Milliseconds in which the head of a request has to arrive, and all of it; and what is for a busy machine. */
const [HEAD, WHOLE, ROOM_FOR_TIME] = [15_000, 30_000, 10_000];
/** Files and connections of which the server may have more than before: what the load keeps alive. */
const ROOM = 40;

const beginnings = [
  { given: HEAD, said: "X-Slow: " },
  { given: WHOLE, said: 'Content-Type: application/json\r\nContent-Length: 60000\r\n\r\n{"a":"' },
];

/** Says one letter more now and again, and never comes to an end. */
function speakSlowly(port: number, beginning: string) {
  const began = performance.now();
  const socket = connect(port, "127.0.0.1");
  socket.write(beginning);
  const more = setInterval(() => socket.write("x"), 1_000);
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.on("error", () => {});
  const ended = new Promise<{ answer: string; after: number }>((resolve) => {
    socket.once("close", () => {
      clearInterval(more);
      resolve({ answer, after: performance.now() - began });
    });
  });
  return { ended };
}

describe("clients who never finish", () => {
  let database: TestDatabase;
  let server: ServerProcess;
  let tenant: Tenant;
  beforeAll(async () => {
    database = await createTestDatabase("sqlite");
    server = await startProcess({ database_url: database.database_url, env: { PUBLIC_URL } });
    tenant = await createTenantBeside(database.database_url, server.url, PUBLIC_URL);
    await authorize(tenant, { verification_code: await mintCode(tenant, { format: "link" }) });
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await database.drop();
  });
  const handles = () => readdirSync(`/proc/${server.pid}/fd`).length;

  it("neither hold anybody up nor stay", { timeout: 180_000 }, async () => {
    const linux = process.platform === "linux";
    if (!linux) console.warn("Handles are not counted here: that needs /proc.");
    const before = linux ? handles() : 0;
    const path = `/v1/accounts/${tenant.account_id}/auth/token`;
    const slow = Array.from({ length: CLIENTS }, (_, n) => {
      const { given, said } = beginnings[n % beginnings.length] as (typeof beginnings)[number];
      return { given, ...speakSlowly(server.port, `POST ${path} HTTP/1.1\r\nHost: slow.example\r\n${said}`) };
    });
    if (linux) {
      const connected = { message: "they are connected", timeout: 30_000 };
      await expect.poll(handles, connected).toBeGreaterThan(before + CLIENTS / 2);
    }
    const load = startLoad([tenant]);
    await pause(3_000);
    await load.stop();
    expect([[...load.refused], load.dropped], "everybody else is served").toEqual([[], 0]);

    const patience = pause(WHOLE + 2 * ROOM_FOR_TIME).then(() => "still open" as const);
    for (const { given, ended } of slow) {
      const end = await Promise.race([ended, patience]);
      if (end === "still open") throw new Error("a connection was still open after all that time");
      expect(end.after).toBeGreaterThan(given - 500);
      expect(end.after).toBeLessThan(given + ROOM_FOR_TIME);
      const [head = "", body = ""] = end.answer.split("\r\n\r\n");
      expect(head.split("\r\n")[0]).toBe("HTTP/1.1 408 Request Timeout");
      expect(head.toLowerCase()).toContain("connection: close");
      expect(JSON.parse(body).error.code).toBe("invalid_request");
    }
    if (linux) await until("their handles to be given back", () => handles() <= before + ROOM || undefined);
    await judge(tenant, load, { fault: `${CLIENTS} clients who never finish`, engine: "sqlite", runs: 1, back_ms: 0 });
  });
});

/** Of the server, of which it has some tens open by itself. */
const DESCRIPTORS = 300;

describe.runIf(process.platform === "linux")("clients who leave the server no descriptor", () => {
  it("leave it what it has not needed yet", { timeout: 120_000 }, async () => {
    const { database_url, drop } = await createTestDatabase("sqlite");
    const server = await startProcess({ database_url, env: { PUBLIC_URL }, descriptors: DESCRIPTORS });
    const agent = new Agent({ keepAlive: true, maxSockets: 1 });
    try {
      const { base, client } = await createTenantBeside(database_url, server.url, PUBLIC_URL);
      // One that is connected before they are.
      const ask = (url: string, options = {}, body = "") =>
        new Promise<number | undefined>((resolve, reject) => {
          const asked = request(url, { ...options, agent }, (reply) => {
            reply.resume().once("end", () => resolve(reply.statusCode));
          });
          asked.once("error", reject).end(body);
        });
      const form = { authorization: basic(client), "content-type": "application/x-www-form-urlencoded" };
      const proving = { method: "POST", headers: { ...form, dpop: "e30.e30.e30" } };
      const prove = () => ask(`${base}/oauth/token`, proving, "grant_type=client_credentials");
      const stay = () => ask(`${server.url}/healthz`);
      await stay();
      const sockets = Array.from({ length: 2 * DESCRIPTORS }, () => connect(server.port, "127.0.0.1"));
      for (const socket of sockets) socket.on("error", () => {});
      const handles = () => readdirSync(`/proc/${server.pid}/fd`).length;
      await until("all to be taken", async () => (await stay()) && (handles() >= DESCRIPTORS - 2 || undefined));
      const meanwhile = await prove();
      for (const socket of sockets) socket.destroy();
      await until("them to be given back", async () => (await stay()) && (handles() < DESCRIPTORS / 2 || undefined));
      expect(meanwhile).toBe(400);
      expect(await prove()).toBe(400);
    } finally {
      agent.destroy();
      await server.kill("SIGTERM");
      await drop();
    }
  });
});

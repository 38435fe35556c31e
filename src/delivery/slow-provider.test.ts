/** A provider that takes a message and never says so in time, or was never reached. */
import { createServer, type IncomingMessage, type Server } from "node:http";
import { createServer as createSocketServer } from "node:net";
import { afterEach, beforeEach, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { until } from "../../test/support/smtp.ts";
import { openEgress } from "../egress/egress.ts";
import { enqueue } from "../outbox/outbox.ts";
import { type RunningOutbox, startOutbox } from "../outbox/worker.ts";
import { secret } from "../secrets/secret.ts";
import { openSms } from "./sms.ts";

describeOnBothEngines("an SMS", (engine) => {
  let test: TestStorage;
  let port: number;
  let server: Server;
  let outbox: RunningOutbox | undefined;
  let failed: string | undefined;
  const posts: IncomingMessage["headers"][] = [];
  beforeEach(async () => {
    test = await openTestStorage(engine);
    port = await freePort();
    server = createServer();
    posts.length = 0;
    failed = undefined;
  });
  afterEach(async () => {
    await outbox?.stop();
    server.closeAllConnections();
    await new Promise((resolve) => server.close(resolve));
    await test.close();
  });

  const webhook = () => `http://:topsecret@127.0.0.1:${port}/sms`;
  const twilio = () => `twilio://AC1:token@Shop?base=${encodeURIComponent(`http://127.0.0.1:${port}`)}`;

  /** Takes every request whole, and then does this. */
  async function provide(then: (request: IncomingMessage, answer: () => void) => void): Promise<void> {
    server = createServer((request, response) => {
      request.resume().on("end", () => {
        posts.push(request.headers);
        then(request, () => response.writeHead(201).end("{}"));
      });
    });
    await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));
  }

  /** Puts one into the outbox, whose provider is given `patience` milliseconds. @returns what has become of it. */
  async function send(sms_url: string, patience: number) {
    const { storage } = test;
    const sms = openSms(openEgress(["127.0.0.1"]), sms_url, patience);
    const note = {
      render: async ({ id, account_id }: { id: string; account_id: string }) => ({
        ...{ id, account_id, to: "+4740000000", text: secret("7KQM4-X2PVD") },
      }),
      send: sms.send,
    };
    outbox = startOutbox(
      storage,
      { note: note as never },
      {
        log: { info() {}, warn() {}, error() {} },
        poll: 50,
        recordFailure: async (_tx, _row, reason) => {
          failed = reason;
        },
      },
    );
    const message = {
      account_id: "P1",
      kind: "note",
      channel: "sms",
      destination: "",
      inbox: null,
      payload: {},
    } as const;
    const now = storage.now();
    const id = await storage.write((tx) => enqueue(tx, { ...message, expires_at: now + 30_000 }, now));
    return () => storage.read.selectFrom("outbox").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  }

  it.each([
    ["a webhook", webhook],
    ["Twilio's shape", twilio],
  ])("goes out twice at most where the answer comes too late: %s", async (_what, url) => {
    await provide((request, answer) => request.socket.once("close", answer));
    const row = await send(url(), 1_000);
    await until("the end of it", async () => ((await row()).state === "pending" ? undefined : true), 60_000);
    expect([posts.length, (await row()).state]).toEqual([2, "failed"]);
    expect(failed).toMatch(/^may have arrived all the same: no answer/);
    expect(new Set(posts.map((headers) => headers["idempotency-key"])).size).toBe(1);
  });

  it("goes out twice at most where the connection is lost after it was sent", async () => {
    await provide((request) => void request.socket.destroy());
    const row = await send(twilio(), 30_000);
    await until("the end of it", async () => ((await row()).state === "pending" ? undefined : true), 60_000);
    expect([posts.length, (await row()).state]).toEqual([2, "failed"]);
  });

  it("goes out once where the second attempt is answered", async () => {
    await provide((request, answer) => (posts.length === 1 ? void request.socket.destroy() : answer()));
    const row = await send(twilio(), 30_000);
    await until("it to be sent", async () => ((await row()).state === "sent" ? true : undefined));
    expect(posts).toHaveLength(2);
  });

  it("is tried until it expires where the provider is not reached", async () => {
    const row = await send(twilio(), 30_000);
    await until("three attempts", async () => (Number((await row()).attempts) > 3 ? true : undefined), 60_000);
    await provide((_request, answer) => answer());
    await until("it to be sent", async () => ((await row()).state === "sent" ? true : undefined), 60_000);
    expect(posts).toHaveLength(1);
  });

  it("is tried until it expires where the provider answers the TLS handshake with an alert", async () => {
    const alert = Uint8Array.of(0x15, 3, 3, 0, 2, 2, 80);
    const tls = createSocketServer((socket) => void socket.on("error", () => {}).once("data", () => socket.end(alert)));
    await new Promise<void>((resolve) => tls.listen(port, "127.0.0.1", resolve));
    const row = await send(webhook().replace("http:", "https:"), 30_000);
    await until("three attempts", async () => (Number((await row()).attempts) > 3 ? true : undefined), 60_000);
    const { state, last_error } = await row();
    await new Promise((resolve) => tls.close(resolve));
    expect([state, last_error, failed]).toEqual(["pending", "TLS: tlsv1 alert internal error", undefined]);
  });
});

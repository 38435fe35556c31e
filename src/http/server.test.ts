import { type AddressInfo, connect, type Socket } from "node:net";
import { expect, it } from "vitest";
import { openLogger } from "../telemetry/log.ts";
import type { ObservedRequest } from "../telemetry/metrics.ts";
import { sendList } from "./send-list.ts";
import { type App, openHttp } from "./server.ts";

/** A server with one route that takes JSON, what it wrote to its log, and what it counted. */
function openTestHttp() {
  const lines: Record<string, unknown>[] = [];
  const observed: ObservedRequest[] = [];
  const app = openHttp({
    logger: openLogger("info", { write: (line) => void lines.push(JSON.parse(line)) }),
    trustProxy: false,
    metrics: { observe: (one) => void observed.push(one), text: async () => "", content_type: "text/plain" },
    secure: false,
  });
  app.post("/things/:name", { schema: { hide: true } }, async ({ body }) => ({ length: JSON.stringify(body).length }));
  return { app, lines, observed };
}

it("reads numbers out of a query and none out of a body, by one schema, and writes by what a route declares", async () => {
  const { app } = openTestHttp();
  const limit = { type: "object", properties: { limit: { type: "integer" } } };
  const saying = (description: string, member: string) => ({
    200: { type: "object", description, properties: { [member]: { type: "integer" } } },
  });
  const both = { limit: 1, length: 2 };
  app.get("/query", { schema: { querystring: limit, response: saying("one", "limit") } }, async () => both);
  app.post("/body", { schema: { body: limit, response: saying("one", "length") } }, async () => both);
  app.get("/other", { schema: { querystring: limit, response: saying("other", "limit") } }, async () => both);
  for (const url of ["/query?limit=7", "/other?limit=7"]) expect((await app.inject(url)).body).toBe('{"limit":1}');
  for (const url of ["/query?limit=x", "/other?limit=x"]) expect((await app.inject(url)).statusCode).toBe(400);
  const post = (body: object) => app.inject({ method: "POST", url: "/body", body });
  expect((await post({ limit: 7 })).body).toBe('{"length":2}');
  const { statusCode, body } = await post({ limit: "7" });
  expect([statusCode, JSON.parse(body).error.errors[0].path]).toEqual([400, "limit"]);
});

it("refuses JSON that is nested without end, whatever is in it", async () => {
  const { app } = openTestHttp();
  const post = (depth: number, inner: string) =>
    app.inject({
      method: "POST",
      url: "/things/a",
      headers: { "content-type": "application/json" },
      body: `${"[".repeat(depth)}${inner}${"]".repeat(depth)}`,
    });
  for (const inner of ["1", '"\\u0000"', '"u0000"']) {
    const { statusCode, body } = await post(30_000, inner);
    expect([statusCode, JSON.parse(body).error.errors], inner).toEqual([
      400,
      [{ path: "body", code: "too_deep", message: "is nested too deeply" }],
    ]);
  }
  expect((await post(20, "1")).body).toBe('{"length":41}');
});

it("reads no body in a coding that it does not know (RFC 9110 §8.4), and says which it takes", async () => {
  const { app } = openTestHttp();
  const post = (coding: string, body = "[1]") =>
    app.inject({
      method: "POST",
      url: "/things/a",
      headers: { "content-type": "application/json", "content-encoding": coding },
      body,
    });
  for (const coding of ["gzip", "BR", "identity, deflate"]) {
    const { statusCode, headers, body } = await post(coding);
    expect([statusCode, headers["accept-encoding"]], coding).toEqual([415, "identity"]);
    expect(JSON.parse(body).error, coding).toMatchObject({
      code: "unsupported_media_type",
      message: expect.stringContaining("Content-Encoding"),
    });
  }
  for (const coding of ["", "Identity"]) expect((await post(coding)).body, coding).toBe('{"length":3}');
  expect((await post("gzip", "")).statusCode, "no body, so none in a coding").toBe(500);
});

it("says of no page how long it is where a HEAD makes none (RFC 9110 §8.6)", async () => {
  const { app } = openTestHttp();
  app.get("/page", { config: { page: true }, schema: { hide: true } }, async (_request, reply) => {
    reply.type("text/html");
    return "A page.";
  });
  app.get("/text", { schema: { hide: true } }, async () => "Text.");
  await app.listen({ port: 0, host: "127.0.0.1" });
  const head = async (path: string) => {
    const url = `http://127.0.0.1:${(app.server.address() as AddressInfo).port}${path}`;
    const { status, headers } = await fetch(url, { method: "HEAD" });
    return [status, headers.get("content-length")];
  };
  expect([await head("/page"), await head("/text")]).toEqual([
    [200, null],
    [200, "5"],
  ]);
  await app.close();
});

it("has a line and a figure for every request, also for one that no route is looked for", async () => {
  const { app, lines, observed } = openTestHttp();
  const refused = [
    { url: "/things/%zz", status: 400, code: "invalid_request" },
    { url: `/things/${"x".repeat(600)}`, status: 414, code: "uri_too_long" },
    { url: "/nothing", status: 404, code: "not_found" },
  ];
  for (const { url, status, code } of refused) {
    const { statusCode, headers } = await app.inject({ method: "POST", url });
    expect(statusCode).toBe(status);
    expect(lines.pop(), url).toMatchObject({
      request_id: headers["request-id"],
      method: "POST",
      route: "none",
      status,
      code,
    });
    expect(observed.pop(), url).toMatchObject({ method: "POST", route: "none", status, refusal: code });
  }
});

it("stops only when whoever reads slowly has the whole answer", async () => {
  const { app } = openTestHttp();
  const size = 16 * 1024 * 1024;
  app.get("/large", { schema: { hide: true } }, async () => "x".repeat(size));
  await app.listen({ port: 0, host: "127.0.0.1" });
  const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
  socket.write("GET /large HTTP/1.1\r\nHost: localhost\r\n\r\n");
  await new Promise((resolve) => socket.once("readable", resolve));
  const closed = app.close();
  await new Promise((resolve) => setTimeout(resolve, 1_500));
  let received = 0;
  socket.on("data", (chunk) => {
    received += chunk.length;
  });
  await new Promise((resolve) => socket.once("close", resolve));
  await closed;
  expect(received).toBeGreaterThan(size);
});

it("keeps no connection on which nothing moves", () => {
  expect(openTestHttp().app.server.timeout).toBe(60_000);
});

it("looks at fifty findings of a schema, and finds no words for more", async () => {
  const { app } = openTestHttp();
  let read = 0;
  const finding = (index: number) => ({
    instancePath: `/list/${index}`,
    params: { type: "string" },
    get keyword() {
      read += 1;
      return "type";
    },
  });
  app.get("/findings", { schema: { hide: true } }, async () => {
    throw Object.assign(new Error(), { validation: Array.from({ length: 1_000 }, (_, index) => finding(index)) });
  });
  const { statusCode, body } = await app.inject({ url: "/findings" });
  expect([statusCode, JSON.parse(body).error.errors.length, read]).toEqual([400, 50, 50]);
});

it.each([
  ["no HTTP", "hello\r\n\r\n", 400],
  ["headers without end", `GET / HTTP/1.1\r\nHost: x\r\nX: ${"x".repeat(70_000)}\r\n\r\n`, 431],
  ["an expectation", "GET / HTTP/1.1\r\nHost: x\r\nExpect: tea\r\nConnection: close\r\n\r\n", 417],
  ["no host", "GET / HTTP/1.1\r\nConnection: close\r\n\r\n", 400],
  ["two hosts", "GET / HTTP/1.1\r\nHost: x\r\nhost: x\r\nConnection: close\r\n\r\n", 400],
  ["two hosts of an older client", "GET / HTTP/1.0\r\nHost: x\r\nHost: y\r\n\r\n", 400],
  ["an older client that names no host, and no address", "GET / HTTP/1.0\r\n\r\n", 404],
])(
  "says in the log, under the id that the caller reads, what was refused before a handler: %s",
  async (_, sent, status) => {
    const { app, lines } = openTestHttp();
    await app.listen({ port: 0, host: "127.0.0.1" });
    const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
    let answer = "";
    socket.on("data", (piece) => {
      answer += piece;
    });
    const closed = new Promise((resolve) => socket.on("close", resolve));
    socket.write(sent);
    await closed;
    const [, told] = /^HTTP\/1\.1 (\d+)/.exec(answer) ?? [];
    const [, request_id] = /^request-id: ([\w-]{16})\r$/im.exec(answer) ?? [];
    expect(Number(told), answer).toBe(status);
    expect(lines.filter((line) => line.request_id === request_id)).toMatchObject([{ level: "info", status }]);
    await app.close();
  },
);

/** The server's ends of connections that each ask for an answer, or several at once, and take none of it. */
async function openIdle(app: App, url: string) {
  const ends: Socket[] = [];
  app.server.on("connection", (socket) => void ends.push(socket));
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  const clients: Socket[] = [];
  const ask = async (asked = url, times = 1) => {
    const client = connect(port, "127.0.0.1");
    clients.push(client.on("error", () => {}).pause());
    const before = ends.length;
    client.write(`GET ${asked} HTTP/1.1\r\nhost: localhost\r\n\r\n`.repeat(times));
    for (;;) {
      const end = ends[before];
      if (end?.bytesWritten || end?.destroyed) return end;
      await new Promise((turn) => setImmediate(turn));
    }
  };
  const close = () => {
    for (const client of clients) client.destroy();
    return app.close();
  };
  return { ask, close, port };
}

it("ends a connection on which nothing moves while it is answered", async () => {
  const { app } = openTestHttp();
  app.get("/large", { schema: { hide: true } }, async () => "x".repeat(20_000_000));
  const { ask, close } = await openIdle(app, "/large");
  const socket = await ask();
  expect(socket.timeout).toBe(60_000);
  socket.emit("timeout");
  expect(socket.destroyed).toBe(true);
  await close();
});

it("ends the connections that have taken nothing for longest, where all hold too much together", async () => {
  const { app } = openTestHttp();
  const text = "x".repeat(15_000_000);
  app.get("/large", { schema: { hide: true } }, async () => text);
  const { ask, close, port } = await openIdle(app, "/large");
  const idle = [await ask(), await ask(), await ask()];
  const ended = () => idle.map(({ destroyed }) => destroyed);
  expect(ended()).toEqual([true, false, false]);
  for (let n = 0; n < 3; n++) expect(await (await fetch(`http://127.0.0.1:${port}/large`)).text()).toBe(text);
  expect(ended(), "those who read make room again").toEqual([true, true, false]);
  await close();
});

it("ends the connection that holds most, and not one that reads a list meanwhile", async () => {
  const { app } = openTestHttp();
  const text = "x".repeat(530_000);
  app.get("/large", { schema: { hide: true } }, async () => text);
  const pages = async function* () {
    for (let page = 0; page < 200; page++) yield [text];
  };
  app.get("/list", { schema: { hide: true } }, (request, reply) =>
    sendList(request, reply, pages(), (item) => ({ item })),
  );
  const { ask, close } = await openIdle(app, "/list");
  const reader = await ask();
  const burst = await ask("/large", 80);
  while (!burst.destroyed) await new Promise((turn) => setImmediate(turn));
  expect(reader.destroyed).toBe(false);
  await close();
});

it("lets nothing take the place of an answer that is due, where what follows is no HTTP", async () => {
  const { app } = openTestHttp();
  app.delete("/slow", { schema: { hide: true } }, async (_, reply) => {
    await new Promise((resolve) => setTimeout(resolve, 50));
    return reply.code(204).send();
  });
  await app.listen({ port: 0, host: "127.0.0.1" });
  const ask = async (...pieces: readonly string[]) => {
    const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
    let answer = "";
    socket.on("data", (piece) => {
      answer += piece;
    });
    const closed = new Promise((resolve) => socket.on("close", resolve));
    for (const piece of pieces) {
      socket.write(piece);
      await new Promise((resolve) => setTimeout(resolve, 5));
    }
    await closed;
    return [...answer.matchAll(/^HTTP\/1\.1 (\d+)/gm)].map(([, status]) => Number(status));
  };
  const request = "DELETE /slow HTTP/1.1\r\nHost: localhost\r\n";
  expect(await ask(`${request}\r\n{}`)).toEqual([204]);
  expect(await ask(`${request}\r\n`, ...Array(15).fill("{}"))).toEqual([204]);
  expect(await ask(`${request}\r\n${request}\r\n{}`), "each that came whole").toEqual([204, 204]);
  expect(await ask(`${request}Transfer-Encoding: chunked\r\n\r\nno length`), "one that did not").toEqual([400]);
  await app.close();
});

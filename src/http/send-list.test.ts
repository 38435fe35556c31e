import { type AddressInfo, connect, type Socket } from "node:net";
import { Readable } from "node:stream";
import { fastify } from "fastify";
import { expect, it, vi } from "vitest";
import { sendList } from "./send-list.ts";

async function* twoPages(read: number[]) {
  for (const page of [1, 2]) {
    read.push(page);
    yield [{ page }];
  }
}

it("a HEAD is answered as a GET is, and reads no further than that takes", async () => {
  const app = fastify({ exposeHeadRoutes: true });
  const read: number[] = [];
  app.get("/list", (request, reply) => sendList(request, reply, twoPages(read), (item) => item));
  const failing = async function* (): AsyncGenerator<object[]> {
    yield await Promise.reject(Object.assign(new Error("no database"), { statusCode: 503 }));
  };
  app.get("/failing", (request, reply) => sendList(request, reply, failing(), (item) => item));
  const [head, get] = [await app.inject({ method: "HEAD", url: "/list" }), await app.inject("/list")];
  expect([get.payload, head.payload]).toEqual(['[{"page":1},{"page":2}]', ""]);
  expect([head.statusCode, head.headers["content-type"]]).toEqual([get.statusCode, get.headers["content-type"]]);
  expect(head.headers["content-length"]).toBe(get.headers["content-length"]);
  expect(read, "by the HEAD, then by the GET").toEqual([1, 1, 2]);
  for (const method of ["HEAD", "GET"] as const)
    expect((await app.inject({ method, url: "/failing" })).statusCode, method).toBe(503);
  await app.close();
});

it("leaves a page in pieces, of which none holds much more than one item", async () => {
  const app = fastify();
  const items = Array.from({ length: 20 }, (_, n) => ({ n, text: "x".repeat(n < 10 ? 40_000 : 10) }));
  const pieces: number[] = [];
  app.addHook("onSend", async (_request, _reply, payload: AsyncIterable<string>) =>
    Readable.from(
      (async function* () {
        for await (const piece of payload) {
          pieces.push(piece.length);
          yield piece;
        }
      })(),
    ),
  );
  const pages = async function* () {
    yield items;
  };
  app.get("/list", (request, reply) => sendList(request, reply, pages(), (item) => item));
  expect((await app.inject("/list")).json()).toEqual(items);
  expect(Math.max(...pieces)).toBeLessThan(110_000);
  expect(pieces.length).toBeLessThan(10);
  await app.close();
});

it("leaves an item in pieces, and gives everybody a turn between two of them", async () => {
  const app = fastify();
  let turns = 0;
  let over = false;
  const turn = () => {
    turns++;
    if (!over) setImmediate(turn);
  };
  const text = JSON.stringify("x".repeat(40_000));
  const seen: number[] = [];
  const view = async function* (count: number) {
    yield `{"count":${count},"texts":[`;
    for (let n = 0; n < count; n++) {
      seen.push(turns);
      yield n === 0 ? text : `,${text}`;
    }
    yield "]}";
  };
  const pages = async function* () {
    yield [8, 0, 1];
  };
  app.get("/list", (request, reply) => sendList(request, reply, pages(), view));
  setImmediate(turn);
  const { payload } = await app.inject("/list");
  over = true;
  const texts = (count: number) => Array.from({ length: count }, () => "x".repeat(40_000));
  expect(JSON.parse(payload)).toEqual([8, 0, 1].map((count) => ({ count, texts: texts(count) })));
  expect(new Set(seen).size).toBeGreaterThan(3);
  await app.close();
});

it("is given up where nobody reads it any more", async () => {
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const app = fastify();
  let over = false;
  const pages = async function* () {
    try {
      for (;;) yield [{ text: "x".repeat(60_000) }];
    } finally {
      over = true;
    }
  };
  app.get("/list", (request, reply) => sendList(request, reply, pages(), (item) => item));
  await app.listen({ port: 0, host: "127.0.0.1" });
  const socket = connect((app.server.address() as AddressInfo).port, "127.0.0.1");
  socket.on("error", () => {}).pause();
  socket.write("GET /list HTTP/1.1\r\nhost: localhost\r\n\r\n");
  while (!over) {
    await new Promise((turn) => setImmediate(turn));
    vi.advanceTimersByTime(1_000);
  }
  socket.destroy();
  vi.useRealTimers();
  await app.close();
});

it("is answered to its end, by however many it is read at once", async () => {
  const app = fastify();
  let begun = 0;
  let open = () => {};
  const all_begun = new Promise<void>((resolve) => {
    open = resolve;
  });
  const pages = async function* () {
    yield [{ page: 1 }];
    if (++begun === READERS) open();
    await all_begun;
    yield [{ page: 2 }];
  };
  app.get("/list", (request, reply) => sendList(request, reply, pages(), (item) => item));
  const url = await app.listen({ port: 0, host: "127.0.0.1" });
  const read = async () => (await fetch(`${url}/list`)).text().catch(() => "cut off");
  const READERS = 400;
  const answers = await Promise.all(Array.from({ length: READERS }, read));
  expect(new Set(answers)).toEqual(new Set(['[{"page":1},{"page":2}]']));
  await app.close();
});

/** Pieces that a connection has no room for, after which the first reader's list waits for its database. */
const FIRST = 8;

/** Readers of endless lists, who take nothing until they are resumed, and which of them were cut off. */
async function openReaders() {
  let open = () => {};
  const until_open = new Promise<void>((resolve) => {
    open = resolve;
  });
  vi.useFakeTimers({ toFake: ["setTimeout", "clearTimeout"] });
  const app = fastify();
  const over: number[] = [];
  let made = 0;
  const pages = async function* (reader: number) {
    try {
      for (let n = 0; ; n++) {
        if (reader === 1 && n === FIRST) await until_open;
        made++;
        yield [{ text: "x".repeat(4_000_000) }];
      }
    } finally {
      over.push(reader);
    }
  };
  app.get<{ Params: { reader: string } }>("/list/:reader", (request, reply) =>
    sendList(request, reply, pages(Number(request.params.reader)), (item) => item),
  );
  const ends: Socket[] = [];
  app.server.on("connection", (socket) => void ends.push(socket));
  await app.listen({ port: 0, host: "127.0.0.1" });
  const { port } = app.server.address() as AddressInfo;
  const clients: Socket[] = [];
  const turn = () => new Promise((next) => setImmediate(next));
  /** Until it takes no more, and that for a moment. */
  const stop = async () => {
    for (let [before, turns] = [-1, 0]; turns < 50; turns++, await turn()) {
      if (made !== before) [before, turns] = [made, 0];
    }
    vi.advanceTimersByTime(1_000);
    await turn();
    await turn();
  };
  return {
    over,
    ends,
    stop,
    async add() {
      const client = connect(port, "127.0.0.1");
      clients.push(client.on("error", () => {}).pause());
      const before = made;
      client.write(`GET /list/${clients.length} HTTP/1.1\r\nhost: localhost\r\n\r\n`);
      while (made === before) await turn();
      await stop();
      return client;
    },
    async close() {
      open();
      for (const client of clients) client.destroy();
      vi.useRealTimers();
      await app.close();
    },
  };
}

it("ends those who do not read on, the longest idle first, where they hold too much together", async () => {
  const readers = await openReaders();
  for (let n = 0; n < 10 && readers.over.length < 2; n++) await readers.add();
  expect(readers.over.slice(0, 2)).toEqual([1, 2]);
  await readers.close();
});

it("counts nothing against who has taken what lay there, while their list waits for its database", async () => {
  const readers = await openReaders();
  const first = await readers.add();
  first.resume();
  await readers.stop();
  for (let n = 0; n < 2; n++) await readers.add();
  expect(readers.ends.map(({ destroyed }) => destroyed)).toEqual([false, false, false]);
  await readers.close();
});

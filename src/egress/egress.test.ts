import { createServer, type Server } from "node:http";
import { type AddressInfo, createServer as createSocketServer } from "node:net";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { egressFetch, isUnanswered, openEgress } from "./egress.ts";

describe("requests that others name the address of", () => {
  let server: Server;
  let port: number;
  let asked = 0;
  beforeAll(async () => {
    server = createServer((request, response) => {
      asked += 1;
      if (request.url === "/redirect")
        return void response.writeHead(302, { location: `http://127.0.0.1:${port}/` }).end();
      if (request.url === "/large") return void response.end("x".repeat(100_000));
      if (request.url === "/endless") return void response.write("x");
      response.setHeader("set-cookie", "a=b").end(JSON.stringify(request.headers));
    });
    await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
    ({ port } = server.address() as AddressInfo);
  });
  afterAll(() => {
    server.closeAllConnections();
    server.close();
  });

  const get = (url: string, allow: string[] = []) => egressFetch(openEgress(allow), { url, method: "GET" });

  it.each([
    "127.0.0.1",
    "127.1",
    "2130706433",
    "0x7f.0.0.1",
    "0177.0.0.1",
    "0.0.0.0",
    "localhost",
    "[::1]",
    "[::]",
    "[::ffff:127.0.0.1]",
    "[::ffff:7f00:1]",
    "[64:ff9b::7f00:1]",
    "[2002:7f00:1::]",
    "10.0.0.1",
    "172.16.0.1",
    "192.168.1.1",
    "169.254.169.254",
    "100.64.0.1",
    "[fe80::1]",
    "[fc00::1]",
    "[ff02::1]",
    "224.0.0.1",
    "255.255.255.255",
  ])("never go to %s, by https or http", async (host) => {
    const before = asked;
    await expect(get(`https://${host}:${port}/`)).rejects.toThrow("is not a public https address");
    await expect(get(`http://${host}:${port}/`)).rejects.toThrow("is not a public https address");
    expect(asked).toBe(before);
  });

  it.each(["http://93.184.216.34/", "http://[2606:2800:220:1::1]/"])("never go by http: %s", async (url) => {
    for (const allow of [[], ["93.184.216.34", "2606:2800::/32"]])
      await expect(get(url, allow)).rejects.toThrow("is not a public https address");
  });

  it.each(["file:///etc/passwd", "ftp://example.com", "gopher://example.com", "data:text/plain,x"])(
    "know no other protocol: %s",
    async (url) => {
      await expect(get(url)).rejects.toThrow("is not allowed");
    },
  );

  it("carry no user name out of an address", async () => {
    await expect(get(`http://user:password@127.0.0.1:${port}/`, ["127.0.0.1"])).rejects.toThrow("user name");
  });

  it("go where EGRESS_ALLOW opens, and nowhere beside it", async () => {
    const { status, body } = await get(`http://127.0.0.1:${port}/`, ["127.0.0.1/32"]);
    expect(status).toBe(200);
    expect(JSON.parse(body)).not.toHaveProperty("cookie");
    await expect(get(`http://127.0.0.2:${port}/`, ["127.0.0.1/32"])).rejects.toThrow("EGRESS_ALLOW");
    await expect(get(`http://10.0.0.1:${port}/`, ["10.0.0.0/8"])).rejects.toThrow("EGRESS_ALLOW");
  });

  it("follow no redirect", async () => {
    const before = asked;
    expect((await get(`http://127.0.0.1:${port}/redirect`, ["127.0.0.1"])).status).toBe(302);
    expect(asked).toBe(before + 1);
  });

  it("read 64 KiB and no more", async () => {
    await expect(get(`http://127.0.0.1:${port}/large`, ["127.0.0.1"])).rejects.toThrow("more than 65536 bytes");
  });

  it("end after five seconds, or when the caller loses patience", async () => {
    const began = performance.now();
    await expect(get(`http://127.0.0.1:${port}/endless`, ["127.0.0.1"])).rejects.toThrow();
    expect(performance.now() - began).toBeGreaterThan(4_000);
    const request = {
      url: `http://127.0.0.1:${port}/endless`,
      method: "GET",
      signal: AbortSignal.timeout(50),
    } as const;
    await expect(egressFetch(openEgress(["127.0.0.1"]), request)).rejects.toThrow();
  });

  /** Asks a server that says this and, if told to, hangs up. */
  async function askRaw(said: string | Uint8Array, hangs_up: boolean, protocol = "http") {
    const raw = createSocketServer((socket) => {
      socket.on("error", () => {});
      socket.once("data", () => (hangs_up ? socket.end(said) : socket.write(said)));
    });
    await new Promise<void>((resolve) => raw.listen(0, "127.0.0.1", resolve));
    const url = `${protocol}://127.0.0.1:${(raw.address() as AddressInfo).port}/`;
    const request = { url, method: "POST", body: "x", timeout: 60_000 } as const;
    return egressFetch(openEgress(["127.0.0.1"]), request).finally(() => raw.close());
  }

  it.each([
    ["switches protocols", "HTTP/1.1 101 x\r\nConnection: Upgrade\r\nUpgrade: x\r\n\r\n", false, "without an answer"],
    ["promises an answer and hangs up", "HTTP/1.1 103 x\r\n\r\n", true, "hang up"],
    ["hangs up", "", true, "hang up"],
    ["hangs up in the midst of its answer", "HTTP/1.1 200 x\r\nContent-Length: 9\r\n\r\nx", true, "aborted"],
  ])(
    "end though the server %s, which may have done what it was asked",
    { timeout: 20_000 },
    async (_what, said, hangs_up, why) => {
      const error: unknown = await askRaw(said, hangs_up).catch((failure: unknown) => failure);
      expect([String(error), isUnanswered(error)]).toEqual([expect.stringContaining(why), true]);
    },
  );

  it.each([
    ["an alert", Uint8Array.of(0x15, 3, 3, 0, 2, 2, 80), true, "Error: TLS: tlsv1 alert internal error"],
    ["what is no TLS", "HTTP/1.1 400 x\r\n\r\n", true, "Error: TLS: wrong version number"],
    ["nothing", "", true, "disconnected before secure TLS connection was established"],
  ])("have reached nobody where the server answers the TLS handshake with %s", async (_what, said, hangs_up, why) => {
    const error: unknown = await askRaw(said, hangs_up, "https").catch((failure: unknown) => failure);
    expect([String(error), isUnanswered(error)]).toEqual([expect.stringContaining(why), false]);
  });

  it("take an answer that the end of its connection ends", async () => {
    expect((await askRaw("HTTP/1.0 200 x\r\n\r\nwhole", true)).body).toBe("whole");
  });

  it("end in time though garbage is collected meanwhile", { timeout: 30_000 }, async () => {
    setFlagsFromString("--expose-gc");
    const collect: () => void = runInNewContext("gc");
    const url = `http://127.0.0.1:${port}/endless`;
    const ask = (own: object) => egressFetch(openEgress(["127.0.0.1"]), { url, method: "GET", timeout: 1_000, ...own });
    const asked = [ask({}), ask({ timeout: 60_000, signal: AbortSignal.timeout(1_000) })];
    const ends = asked.map((one) => expect(one).rejects.toThrow("in time"));
    const collecting = setInterval(collect, 100);
    await Promise.all(ends).finally(() => clearInterval(collecting));
  });
});

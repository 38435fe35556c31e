/** Requests of which a server has the head and not the body: what it has begun when something happens to it. */
import { connect } from "node:net";
import { until } from "./smtp.ts";

export interface HalfSent {
  /** Sends the body, and resolves with what was answered, once the connection is closed. */
  finish(): Promise<string>;
}

const GO_ON = "HTTP/1.1 100 Continue\r\n\r\n";

/** Resolves when the server says that it has the head (RFC 9110 §10.1.1). */
export async function sendHalf(
  port: number,
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
): Promise<HalfSent> {
  const socket = connect(port, "127.0.0.1");
  let answer = "";
  socket.on("data", (chunk) => {
    answer += chunk;
  });
  socket.on("error", () => {});
  const closed = new Promise<void>((resolve) => socket.once("close", () => resolve()));
  const own = { host: "x", expect: "100-continue", "content-length": String(Buffer.byteLength(body)) };
  const lines = Object.entries({ ...own, ...headers }).map(([name, value]) => `${name}: ${value}\r\n`);
  socket.write(`POST ${path} HTTP/1.1\r\n${lines.join("")}\r\n`);
  await until("the server to have the head", () => answer.startsWith(GO_ON) || undefined);
  return {
    async finish() {
      socket.write(body);
      await closed;
      return answer.slice(GO_ON.length);
    },
  };
}

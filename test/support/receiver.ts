/** A real HTTP server that keeps what it was sent: a webhook, a provider of SMS, a collector of traces. */
import { createServer, type IncomingMessage } from "node:http";
import type { AddressInfo } from "node:net";

export interface Received {
  readonly path: string;
  readonly headers: IncomingMessage["headers"];
  readonly body: string;
}

export interface Receiver {
  readonly url: string;
  readonly port: number;
  readonly all: readonly Received[];
  close(): Promise<void>;
}

/** A status, a body, and headers where it has any to say. */
export type ReceiverAnswer = [status: number, body: string, headers?: Readonly<Record<string, string>>];

export async function openReceiver(
  answer: (received: Received) => ReceiverAnswer | Promise<ReceiverAnswer> = () => [200, "{}"],
): Promise<Receiver> {
  const all: Received[] = [];
  const server = createServer((request, response) => {
    let body = "";
    request.on("data", (chunk) => {
      body += chunk;
    });
    request.on("end", async () => {
      const received = { path: request.url ?? "", headers: request.headers, body };
      all.push(received);
      const [status, text, headers] = await answer(received);
      response.writeHead(status, { "content-type": "application/json", ...headers }).end(text);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const { port } = server.address() as AddressInfo;
  return {
    url: `http://127.0.0.1:${port}`,
    port,
    all,
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        server.closeAllConnections();
      }),
  };
}

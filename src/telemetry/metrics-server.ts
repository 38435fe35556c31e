import { once } from "node:events";
import { createServer } from "node:http";
import { addressOf, listenFault } from "../config/listen.ts";
import type { Metrics } from "./metrics.ts";

/** Serves the figures at /metrics of a port of their own. */
export async function serveMetrics(
  host: string,
  port: number,
  metrics: Pick<Metrics, "text" | "content_type">,
): Promise<() => Promise<void>> {
  const server = createServer((request, response) => {
    if (request.url?.split("?", 1)[0] !== "/metrics") return void response.writeHead(404).end();
    metrics.text().then(
      (text) => response.writeHead(200, { "content-type": metrics.content_type }).end(text),
      () => response.writeHead(500).end(),
    );
  });
  const listening = addressOf(host).then((address) => once(server.listen(port, address), "listening"));
  await listening.catch((error) => {
    throw listenFault("METRICS_PORT", host, port, error);
  });
  return () =>
    new Promise((resolve) => {
      server.close(() => resolve());
      server.closeAllConnections();
    });
}

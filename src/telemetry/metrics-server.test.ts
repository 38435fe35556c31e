import { expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { serveMetrics } from "./metrics-server.ts";

it("answers with the figures at its one address, whatever its query holds", async () => {
  const port = await freePort();
  const close = await serveMetrics("127.0.0.1", port, { text: async () => "up 1\n", content_type: "text/plain" });
  const get = async (path: string) => {
    const reply = await fetch(`http://127.0.0.1:${port}${path}`);
    return [reply.status, await reply.text()];
  };
  for (const path of ["/metrics", "/metrics?", "/metrics?x=1"]) expect(await get(path), path).toEqual([200, "up 1\n"]);
  for (const path of ["/", "/metric", "/metrics/", "/?/metrics"]) expect(await get(path), path).toEqual([404, ""]);
  await close();
});

import cluster from "node:cluster";
import type { Config } from "./config.ts";
import { migrate } from "./storage/migrate.ts";
import { openClusterMetrics } from "./telemetry/metrics.ts";
import { serveMetrics } from "./telemetry/metrics-server.ts";

/**
 * WORKERS processes that share the port. The parent only keeps them running: one that dies is replaced, and SIGTERM reaches
 * every one of them. `run` serves until it is told to stop; all but the first are followers.
 */
export async function serveWithWorkers(
  config: Config,
  run: (config: Config, options: { readonly follower: boolean }) => Promise<void>,
): Promise<void> {
  if (cluster.isWorker) return run(config, { follower: cluster.worker?.id !== 1 });
  await migrate(config.database_url);
  let stopping = false;
  if (config.metrics_port !== null) await serveMetrics(config.host, config.metrics_port, await openClusterMetrics());
  for (let id = 0; id < config.workers; id++) cluster.fork();
  cluster.on("exit", (_worker, code) => {
    if (stopping || code === 2) {
      if (Object.keys(cluster.workers ?? {}).length === 0) process.exit(stopping ? 0 : code);
      return;
    }
    setTimeout(() => cluster.fork(), 1_000);
  });
  const stop = () => {
    stopping = true;
    for (const worker of Object.values(cluster.workers ?? {})) worker?.process.kill("SIGTERM");
  };
  process.once("SIGTERM", stop);
  process.once("SIGINT", stop);
}

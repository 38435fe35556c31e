/**
 * A process that serves, from its start to the signal that ends it: what `server.ts` and the command `serve` run.
 *
 * In: the environment. Out: a server, or one in each of several workers, until a signal ends it (`stop_signals`); or an
 * exit code, with what the operator has to do.
 */
import { adviceOn } from "./advice.ts";
import { settingsCheck } from "./check-settings.ts";
import { stop_signals } from "./config/stop-signals.ts";
import { type Config, ConfigError, readConfig } from "./config.ts";
import { type ServerOptions, startServer, waitOf } from "./start-server.ts";
import type { OnWait } from "./storage/migrate.ts";
import { openLogger } from "./telemetry/log.ts";
import { tuneEngine } from "./tune-engine.ts";
import { environment, forkedByAnother, serveWithWorkers } from "./workers.ts";

const ALONE =
  "a parent that is not ours has forked this process, which serves alone: WORKERS counts for nothing here, and METRICS_PORT answers with the figures of one of its processes";

/**
 * Runs until a signal ends it. What stops the start is told by `explain`: to standard error, in lines that say what to
 * do, with exit code 2 for faults of the settings.
 */
export async function serve(options: ServerOptions = {}, explain: (error: unknown) => void = explainInLines) {
  tuneEngine();
  try {
    const env = await environment();
    const asked = readConfig(env, { check: await settingsCheck(env) });
    const config = forkedByAnother ? { ...asked, workers: 1 } : asked;
    const { workers, metrics_port } = asked;
    if (forkedByAnother && (workers > 1 || metrics_port !== null))
      openLogger(config.log_level).warn({ workers }, ALONE);
    if (config.workers > 1) {
      const onWait: OnWait = (migration) => waitOf(openLogger(config.log_level))(migration);
      await serveWithWorkers(config, (own, as) => run(own, { ...options, ...as }), onWait);
    } else await run(config, options);
  } catch (error) {
    explain(error);
    process.exit();
  }
}

async function run(config: Config, options: ServerOptions): Promise<void> {
  // Nobody need read the walk-through; the log has a stream of its own.
  process.stdout.on("error", () => {});
  // Before the start, which may take a while: to stop a server that is only starting is no failure.
  const told = new Promise<NodeJS.Signals>((done) => {
    // For good: with nobody listening, the second one of a service manager and a parent process would end it on the spot.
    for (const signal of stop_signals) process.on(signal, done);
  });
  void told.then(() => setTimeout(() => process.exit(1), 25_000).unref());
  const abandoned = told.then(() => Promise.reject(told));
  abandoned.catch(() => {});
  const server = await startServer(config, { ...options, abandoned }).catch(async (error: unknown) => {
    // PostgreSQL takes back what a migration had begun.
    if (error !== told) throw error;
    openLogger(config.log_level).info({ signal: await told }, "stopping");
    process.exit(0);
  });
  // What nobody waited for is no reason to end what everybody else waits for.
  process.on("unhandledRejection", (error) =>
    server.app.log.error({ err: error }, "something failed that nobody waited for"),
  );
  const signal = await told;
  server.app.log.info({ signal }, "stopping");
  await server.stop();
  process.exit(0);
}

/** What the operator has to do. */
function explainInLines(error: unknown): void {
  process.stderr.write(`${adviceOn(error)}\n`);
  process.exitCode = error instanceof ConfigError ? 2 : 1;
}

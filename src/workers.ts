import cluster from "node:cluster";
import { on } from "node:events";
import { isStopSignal, stop_signals } from "./config/stop-signals.ts";
import type { Config, Environment } from "./config.ts";
import { migrate, type OnWait } from "./storage/migrate.ts";
import { openLogger } from "./telemetry/log.ts";
import { openClusterMetrics } from "./telemetry/metrics.ts";
import { serveMetrics } from "./telemetry/metrics-server.ts";

/** Milliseconds before one that died is replaced; twice as long each time until one serves again. */
const FIRST_PAUSE = 1_000;
const LONGEST_PAUSE = 30_000;

const ASKING = "master_keys";
const WORKER = "LATCHKEY_WORKER";
/** Milliseconds; parents answer at once. */
const PATIENCE = 30_000;

const isOurs = cluster.isWorker && process.env[WORKER] !== undefined;
/** Another `cluster`, as of a process manager, has forked this process: it can fork none. */
export const forkedByAnother = cluster.isWorker && !isOurs;

/**
 * What settings are read from. A worker asks its parent for the master keys: what a process was started with can be
 * read beside it, and neither what hashes passwords nor a report of a crash has any use for them.
 */
export async function environment(): Promise<Environment> {
  delete process.env[WORKER];
  if (!isOurs) return process.env;
  const signal = AbortSignal.timeout(PATIENCE);
  const heard = on(process, "message", { signal });
  process.send?.(ASKING);
  try {
    for await (const [{ master_keys }] of heard)
      if (master_keys !== undefined) return { ...process.env, MASTER_KEY: master_keys, MASTER_KEY_FILE: undefined };
  } catch (error) {
    if (!signal.aborted) throw error;
  }
  throw new Error("the parent process gave no master keys");
}

/**
 * WORKERS processes that share the port, with the master keys that their parent read. It only keeps them running: one
 * that dies or cannot be started is replaced, and what tells it to stop reaches every one of them. Where the first cannot serve, the
 * parent ends as it did. `run` serves until it is told to stop; all but the first are followers.
 *
 * @throws what keeps the first from being started.
 */
export async function serveWithWorkers(
  config: Config,
  run: (config: Config, options: { readonly follower: boolean }) => Promise<void>,
  onWait: OnWait,
): Promise<void> {
  if (cluster.isWorker) return run(config, { follower: cluster.worker?.id !== 1 });
  // Their file may change meanwhile, and one that read it then would refuse what the others issue.
  const master_keys = config.master_keys.map((key) => Buffer.from(key).toString("base64")).join(",");
  delete process.env.MASTER_KEY;
  let served = false;
  let stopping = false;
  let refuse: (error: unknown) => void = () => {};
  const neverForked = new Promise<never>((_, reject) => {
    refuse = reject;
  });
  let pause = FIRST_PAUSE;
  let worst = 0;
  const fork = () => {
    try {
      const worker = cluster.fork({ [WORKER]: "1" });
      worker.on("message", (asked) => void (asked === ASKING && worker.send({ master_keys }, () => {})));
      // One that has ended before it read what it was sent is replaced for that.
      worker.on("error", (error) => {
        if (worker.process.pid === undefined) notForked(error);
      });
    } catch (error) {
      notForked(error);
    }
  };
  const replace = () => {
    setTimeout(() => {
      if (!stopping) fork();
    }, pause);
    pause = Math.min(2 * pause, LONGEST_PAUSE);
  };
  /** For want of memory, processes or files, which may pass, while others serve. */
  const notForked = (error: unknown) => {
    if (!served) return refuse(error);
    openLogger(config.log_level).error({ err: error }, "a worker cannot be started");
    replace();
  };
  const living = () => Object.values(cluster.workers ?? {}).filter((worker) => worker && !worker.isDead());
  const stop = () => {
    stopping = true;
    const workers = living();
    if (workers.length === 0) process.exit(worst);
    for (const worker of workers) worker?.process.kill("SIGTERM");
  };
  for (const signal of stop_signals) process.on(signal, stop);
  await migrate(config.database_url, onWait);
  if (config.metrics_port !== null) await serveMetrics(config.host, config.metrics_port, await openClusterMetrics());
  cluster.on("listening", () => {
    pause = FIRST_PAUSE;
    if (served || stopping) return;
    served = true;
    // The first one alone finds out whether there is anything to serve, and says once what is wrong.
    for (let id = 1; id < config.workers; id++) fork();
  });
  cluster.on("exit", (_worker, code, signal) => {
    if (stopping) {
      // One that dies of the signal itself had not begun to listen to it, nor to serve.
      if (!isStopSignal(signal)) worst = Math.max(worst, signal ? 1 : code);
      if (living().length === 0) process.exit(worst);
      return;
    }
    if (!served) process.exit(code || 1);
    replace();
  });
  fork();
  await neverForked;
}

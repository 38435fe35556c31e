/**
 * Figures for Prometheus: requests by route and status, refusals by code, messages that wait, and the process itself.
 * Labels are route patterns, statuses and error codes, never anything a caller sent.
 */
import cluster from "node:cluster";
import type { Registry } from "prom-client";

export interface ObservedRequest {
  readonly method: string;
  /** The route's pattern. */
  readonly route: string;
  readonly status: number;
  readonly milliseconds: number;
  /** The error code it was refused with. */
  readonly refusal?: string | undefined;
}

export interface Metrics {
  observe(request: ObservedRequest): void;
  /** Prometheus' text format. */
  text(): Promise<string>;
  readonly content_type: string;
}

export interface WaitingMessages {
  readonly late: number;
  readonly undeliverable: number;
}

const SECONDS = [0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10];

/** `waiting` is asked at every scrape; where it knows nothing, its figure is left out. */
export async function openMetrics(waiting: () => Promise<WaitingMessages | undefined>): Promise<Metrics> {
  const { AggregatorRegistry, Counter, Gauge, Histogram, Registry, collectDefaultMetrics } = await import(
    "prom-client"
  );
  const registry: Registry = new Registry();
  if (cluster.isWorker) {
    AggregatorRegistry.setRegistries(registry);
    new AggregatorRegistry();
  }
  collectDefaultMetrics({ register: registry });
  const registers = [registry];
  const requests = new Histogram({
    name: "latchkey_http_request_duration_seconds",
    help: "Time from the request's head to the end of the reply, by route and status.",
    labelNames: ["method", "route", "status"] as const,
    buckets: SECONDS,
    registers,
  });
  const refusals = new Counter({
    name: "latchkey_refusals_total",
    help: "Requests answered with an error, by its code.",
    labelNames: ["code"] as const,
    registers,
  });
  new Gauge({
    name: "latchkey_outbox_messages",
    help: "Messages that should have left by now, and those that were given up in the last hour.",
    labelNames: ["state"] as const,
    registers,
    // Every worker counts the same outbox.
    aggregator: "max",
    async collect() {
      this.reset();
      const counted = await waiting();
      if (!counted) return;
      this.set({ state: "late" }, counted.late);
      this.set({ state: "undeliverable" }, counted.undeliverable);
    },
  });
  const series = new Map<string, { observe(seconds: number): void }>();
  return {
    observe({ method, route, status, milliseconds, refusal }) {
      const name = `${method} ${status} ${route}`;
      const known = series.get(name) ?? requests.labels({ method, route, status });
      series.set(name, known);
      known.observe(milliseconds / 1000);
      if (refusal !== undefined) refusals.inc({ code: refusal });
    },
    text: () => registry.metrics(),
    content_type: registry.contentType,
  };
}

/** In the parent of several workers: their figures, each added up or as its metric says. */
export async function openClusterMetrics(): Promise<Pick<Metrics, "text" | "content_type">> {
  const { AggregatorRegistry } = await import("prom-client");
  const all = new AggregatorRegistry();
  // A worker that is only starting does not hear the question: after the library's five seconds it is asked again.
  const text = () => all.clusterMetrics().catch(() => all.clusterMetrics());
  return { text, content_type: all.contentType };
}

/**
 * Traces by OpenTelemetry: a span a request under the caller's `traceparent`, with spans for what it did in the database.
 * Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set; nothing of the SDK is loaded then. Spans carry route patterns, statuses and
 * statement names, never a URL, a parameter or a value.
 */
import { context, propagation, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { Logger } from "./log.ts";

/** Milliseconds that a collector has for spans, which are sent again within them. */
const LONGEST = 10_000;
/** … for the last ones, */
const PATIENCE = 2_000;
/** … and for none, when it is only asked. */
const FOR_NONE = 5_000;

export interface RequestSpan {
  /** Runs `work` with this span as the parent of what it starts. */
  within(work: () => void): void;
  end(route: string, status: number): void;
}

export interface Tracing {
  startRequest(method: string, headers: Readonly<Record<string, unknown>>): RequestSpan;
  /** A child of the span that is active now. */
  measure<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Sends what is gathered and stops. Never rejects: the log hears of a collector that does not take it in time. */
  stop(): Promise<void>;
}

/**
 * `endpoint`: base URL of an OTLP collector over HTTP; `/v1/traces` is added. The log hears when the collector stops
 * taking spans, and when it takes them again.
 */
export async function openTracing(endpoint: string, version: string, log: Logger): Promise<Tracing> {
  const [exporter, base, hooks, resources, core] = await Promise.all([
    exporterTo(endpoint, LONGEST),
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/context-async-hooks"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/core"),
  ]);
  context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new core.W3CTraceContextPropagator());
  const { lost, taken } = tellOnce(log);
  const provider = new base.BasicTracerProvider({
    resource: resources.resourceFromAttributes({ "service.name": "latchkey", "service.version": version }),
    spanProcessors: [
      new base.BatchSpanProcessor({
        export: (spans, done) =>
          exporter.export(spans, (result) => {
            if (result.code === core.ExportResultCode.SUCCESS) taken();
            else lost(result.error);
            done(result);
          }),
        shutdown: () => exporter.shutdown(),
      }),
    ],
  });
  const stop = () => inTime(PATIENCE, provider.shutdown()).catch(lost);
  return tracingWith(provider.getTracer("latchkey"), stop);
}

async function exporterTo(endpoint: string, timeoutMillis: number) {
  const { OTLPTraceExporter } = await import("@opentelemetry/exporter-trace-otlp-http");
  return new OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces`, timeoutMillis });
}

/** What becomes of spans, told when it changes. */
function tellOnce(log: Logger) {
  let failing = false;
  return {
    lost(error: unknown): void {
      if (!failing) log.warn({ err: error, ...statusOf(error) }, "the collector takes no traces: spans are lost");
      failing = true;
    },
    taken(): void {
      if (failing) log.info("the collector takes traces again");
      failing = false;
    },
  };
}

/** Of an answer over HTTP. */
function statusOf(error: unknown): { readonly status?: number } {
  const { code } = (error ?? {}) as { code?: unknown };
  return typeof code === "number" ? { status: code } : {};
}

/** Sends a collector no spans, as `openTracing` sends some. @throws an Error that says why it does not take them. */
export async function askCollector(endpoint: string): Promise<void> {
  const exporter = await exporterTo(endpoint, FOR_NONE);
  await new Promise<void>((resolve, reject) => {
    exporter.export([], ({ error }) => (error ? reject(error) : resolve()));
  }).finally(() => exporter.shutdown());
}

async function inTime(ms: number, work: Promise<void>): Promise<void> {
  let timer: NodeJS.Timeout | undefined;
  const late = new Promise<never>((_resolve, reject) => {
    timer = setTimeout(() => reject(new Error(`not done in ${ms} ms`)), ms);
  });
  await Promise.race([work, late]).finally(() => clearTimeout(timer));
}

function tracingWith(tracer: Tracer, stop: () => Promise<void>): Tracing {
  return {
    startRequest(method, headers) {
      const parent = propagation.extract(context.active(), headers);
      const span = tracer.startSpan(method, { kind: SpanKind.SERVER }, parent);
      return {
        within: (work) => context.with(trace.setSpan(parent, span), work),
        end(route, status) {
          span.updateName(`${method} ${route}`);
          span.setAttributes({
            "http.request.method": method,
            "http.route": route,
            "http.response.status_code": status,
          });
          if (status >= 500) span.setStatus({ code: SpanStatusCode.ERROR });
          span.end();
        },
      };
    },
    measure: (name, work) =>
      tracer.startActiveSpan(name, { kind: SpanKind.CLIENT }, async (span) => finished(span, work)),
    stop,
  };
}

/** An error's message may hold a value, so that only its kind is kept. */
async function finished<T>(span: Span, work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    span.setStatus({ code: SpanStatusCode.ERROR, message: error instanceof Error ? error.name : "" });
    throw error;
  } finally {
    span.end();
  }
}

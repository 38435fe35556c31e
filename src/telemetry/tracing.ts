/**
 * Traces by OpenTelemetry: a span a request under the caller's `traceparent`, with spans for what it did in the database.
 * Off unless OTEL_EXPORTER_OTLP_ENDPOINT is set; nothing of the SDK is loaded then. Spans carry route patterns, statuses and
 * statement names, never a URL, a parameter or a value.
 */
import { context, propagation, type Span, SpanKind, SpanStatusCode, type Tracer, trace } from "@opentelemetry/api";
import type { Logger } from "./log.ts";

/** Milliseconds that a collector has for the last spans. */
const PATIENCE = 2_000;

export interface RequestSpan {
  /** Runs `work` with this span as the parent of what it starts. */
  within(work: () => void): void;
  end(route: string, status: number): void;
}

export interface Tracing {
  startRequest(method: string, headers: Readonly<Record<string, unknown>>): RequestSpan;
  /** A child of the span that is active now. */
  measure<T>(name: string, work: () => Promise<T>): Promise<T>;
  /** Sends what is gathered and stops. Never rejects: a collector that does not take it in time is named in the log. */
  stop(): Promise<void>;
}

/** `endpoint`: base URL of an OTLP collector over HTTP; `/v1/traces` is added. */
export async function openTracing(endpoint: string, version: string, log: Logger): Promise<Tracing> {
  const [base, otlp, hooks, resources, core] = await Promise.all([
    import("@opentelemetry/sdk-trace-base"),
    import("@opentelemetry/exporter-trace-otlp-http"),
    import("@opentelemetry/context-async-hooks"),
    import("@opentelemetry/resources"),
    import("@opentelemetry/core"),
  ]);
  context.setGlobalContextManager(new hooks.AsyncLocalStorageContextManager().enable());
  propagation.setGlobalPropagator(new core.W3CTraceContextPropagator());
  const exporter = new otlp.OTLPTraceExporter({ url: `${endpoint.replace(/\/+$/, "")}/v1/traces` });
  const provider = new base.BasicTracerProvider({
    resource: resources.resourceFromAttributes({ "service.name": "latchkey", "service.version": version }),
    spanProcessors: [new base.BatchSpanProcessor(exporter)],
  });
  const stop = () =>
    inTime(PATIENCE, provider.shutdown()).catch((error) =>
      log.warn({ err: error }, "the collector of traces does not answer: the last spans are lost"),
    );
  return tracingWith(provider.getTracer("latchkey"), stop);
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

import type { Tracing } from "../telemetry/tracing.ts";
import type { Storage } from "./storage.ts";

/** The same storage, with a span for each commit on the request path. */
export function tracedStorage(storage: Storage, { measure }: Tracing): Storage {
  return {
    ...storage,
    write: (work) => measure("write", () => storage.write(work)),
    hot: (statement, input) => measure(statement.name, () => storage.hot(statement, input)),
  };
}

/** What a refusal of auth/authorize has to look like. */
import { expect } from "vitest";
import type { CallOptions, Reply } from "./latchkey.ts";

export interface Row {
  readonly what: string;
  readonly fields?: Record<string, string | undefined>;
  readonly options?: CallOptions;
  readonly expected: readonly [status: number, code: string, message: RegExp];
}

export function expectRefusal(reply: Reply, [status, code, message]: Row["expected"], what: string): void {
  expect([reply.status, reply.body?.error?.code], `${what}: ${reply.text}`).toEqual([status, code]);
  expect(reply.body.error.message, what).toMatch(message);
  expect(reply.headers.get("location"), what).toBeNull();
  expect(reply.headers.get("request-id"), what).toMatch(/^[\w-]{16}$/);
  expect(reply.headers.get("cache-control"), what).toBe("no-store");
}

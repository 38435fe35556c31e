/**
 * People who log in all the time while something breaks, and the judgement afterwards: what was acknowledged is there, no code works
 * twice, and no request was left hanging.
 */
import { appendFileSync } from "node:fs";
import { expect } from "vitest";
import { authorize, call, mintCode, type Tenant } from "./latchkey.ts";
import { pause } from "./wire.ts";

export interface Load {
  readonly codes: Map<string, "minted" | "asked" | "redeemed">;
  /** Codes for which a redemption was acknowledged more than once. */
  twice: number;
  /** Longest that any request took, in milliseconds. */
  longest: number;
  /** Requests that ended without an answer of the server's. */
  dropped: number;
  /** Statuses other than success, and how often. */
  readonly refused: Map<number, number>;
  stop(): Promise<void>;
}

export interface Judgement {
  readonly acknowledged: number;
  readonly lost: number;
  readonly twice: number;
  readonly hung: number;
  readonly back_ms: number;
}

/** Nobody waits longer than this: the database's deadline twice, and some room for a busy machine. */
export const DEADLINE = 15_000;

export async function makePeople(tenant: Tenant, count: number): Promise<string[]> {
  const people = Array.from({ length: count }, async (_, n) => {
    const json = { email: `load-${n}-${Math.random().toString(36).slice(2)}@example.com` };
    const { body } = await call(`${tenant.base}/customers/users`, { method: "POST", token: tenant.token, json });
    return body.id as string;
  });
  return Promise.all(people);
}

export function startLoad(tenant: Tenant, people: readonly string[]): Load {
  let running = true;
  const timed = async <T>(work: Promise<T>): Promise<T> => {
    const began = performance.now();
    return work.finally(() => {
      load.longest = Math.max(load.longest, performance.now() - began);
    });
  };
  async function live(user_id: string): Promise<void> {
    while (running) {
      try {
        const code = await timed(mintCode(tenant, { user_id, format: "link" }));
        load.codes.set(code, "minted");
        load.codes.set(code, "asked");
        const reply = await timed(authorize(tenant, { verification_code: code }));
        if (reply.status === 302) load.codes.set(code, "redeemed");
        else load.refused.set(reply.status, (load.refused.get(reply.status) ?? 0) + 1);
      } catch (error) {
        const [, status] = /minting answered (\d+)/.exec((error as Error).message) ?? [];
        if (status === undefined) load.dropped++;
        else load.refused.set(Number(status), (load.refused.get(Number(status)) ?? 0) + 1);
        await pause(20);
      }
    }
  }
  const lives = people.map(live);
  const load: Load = {
    codes: new Map(),
    twice: 0,
    longest: 0,
    dropped: 0,
    refused: new Map(),
    async stop() {
      running = false;
      await Promise.all(lives);
    },
  };
  return load;
}

/** Milliseconds until somebody can log in again. */
export async function untilServed(tenant: Tenant, user_id: string, patience = 60_000): Promise<number> {
  const began = performance.now();
  while (performance.now() - began < patience) {
    const code = await mintCode(tenant, { user_id, format: "link" }).catch(() => undefined);
    const reply = code && (await authorize(tenant, { verification_code: code }).catch(() => undefined));
    if (reply && reply.status === 302) return Math.round(performance.now() - began);
    await pause(50);
  }
  throw new Error("nobody could log in again");
}

/** Asks for every code again. FAULTS_OUT, when it is set, is a file that gets one line of JSON a fault. */
export async function judge(fault: string, tenant: Tenant, load: Load, back_ms: number): Promise<Judgement> {
  let [lost, twice] = [0, load.twice];
  const answerOf = async (code: string) => {
    const { status, body } = await authorize(tenant, { verification_code: code });
    return status === 302 ? "302" : String(body?.error?.code);
  };
  for (const [code, state] of load.codes) {
    const answer = await answerOf(code);
    if (state === "redeemed" && answer === "302") twice++;
    else if (state === "redeemed" && answer !== "verification_code_used") lost++;
    else if (answer !== "302" && answer !== "verification_code_used") lost++;
    if ((await answerOf(code)) === "302") twice++;
  }
  const acknowledged = [...load.codes.values()].filter((state) => state === "redeemed").length + load.codes.size;
  const hung = load.longest > DEADLINE ? 1 : 0;
  const judgement = { acknowledged, lost, twice, hung, back_ms };
  const { FAULTS_OUT } = process.env;
  if (FAULTS_OUT) appendFileSync(FAULTS_OUT, `${JSON.stringify({ fault, ...judgement })}\n`);
  expect({ lost, twice, hung }, `longest ${load.longest} ms`).toEqual({ lost: 0, twice: 0, hung: 0 });
  expect(acknowledged).toBeGreaterThan(10);
  return judgement;
}

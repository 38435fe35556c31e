/**
 * People who log in all the time while something breaks, and the judgement afterwards: what was acknowledged is there, no code
 * works twice, and no request was left hanging.
 */
import { appendFileSync } from "node:fs";
import { expect } from "vitest";
import type { Engine } from "../../src/storage/storage.ts";
import { authorize, call, mintCode, type Reply, type Tenant } from "./latchkey.ts";
import { pause } from "./wire.ts";

/**
 * What we were told of a code: that it exists; after that we asked for it, and nobody knows what became of that; that it was
 * redeemed.
 */
type Fate = "minted" | "asked" | "redeemed";

export interface Load {
  readonly codes: ReadonlyMap<string, Fate>;
  /** Requests that were given up after `patience`, one number a server. */
  readonly hung: number[];
  /** Requests that ended without an answer, and had not hung. */
  readonly dropped: number;
  /** Answers other than success: `503 temporarily_unavailable`, and how often. */
  readonly refused: ReadonlyMap<string, number>;
  /** Codes of which a second redemption was acknowledged while the load ran. */
  readonly twice: number;
  /** Resolves when enough was acknowledged to be lost, however slow the machine is. */
  underWay(): Promise<void>;
  stop(): Promise<void>;
}

export interface LoadOptions {
  /** People at once. */
  readonly lives?: number;
  /** Milliseconds after which a request has hung. */
  readonly patience?: number;
}

/** Nobody waits longer than this: the database's deadline twice, and some room for a busy machine. */
export const DEADLINE = 15_000;
/** One in so many codes is left for the judge. */
const KEPT = 3;
/** How many times in a row a fault is tried; more in the long form. */
export const roundsOr = (short: number) => Number(process.env.FAULT_ROUNDS ?? short);

class Hung extends Error {}

/**
 * `servers`: one tenant as each of the servers shows it. People ask them in turn, and the next one when one does not answer, as
 * they would behind a proxy. Each code belongs to a person of its own, since a login ends a person's other codes.
 */
export function startLoad(servers: readonly Tenant[], { lives = 8, patience = DEADLINE }: LoadOptions = {}): Load {
  const codes = new Map<string, Fate>();
  const refused = new Map<string, number>();
  const load = { codes, refused, hung: servers.map(() => 0), dropped: 0, twice: 0 };
  let [running, turn, people] = [true, 0, 0];

  /** The answer of the first server that gives one. */
  async function ask(work: (tenant: Tenant, signal: AbortSignal) => Promise<Reply>): Promise<Reply | undefined> {
    for (let tries = 0; tries < servers.length; tries++) {
      const at = turn++ % servers.length;
      const reply = await withinTime(patience, (signal) => work(servers[at] as Tenant, signal)).catch((error) => {
        if (error instanceof Hung) load.hung[at] = (load.hung[at] ?? 0) + 1;
        else load.dropped++;
        return undefined;
      });
      if (reply && reply.status < 400) return reply;
      if (reply) {
        const answer = `${reply.status} ${reply.body?.error?.code}`;
        refused.set(answer, (refused.get(answer) ?? 0) + 1);
        if (reply.status < 500) return reply;
      }
    }
    return undefined;
  }

  async function logIn(keep: boolean): Promise<boolean> {
    const email = `load-${people++}-${Math.random().toString(36).slice(2)}@example.com`;
    const person = await ask((tenant, signal) =>
      call(`${tenant.base}/customers/users`, { method: "POST", token: tenant.token, json: { email }, signal }),
    );
    if (person?.status !== 200) return false;
    const minted = await ask((tenant, signal) => askToMint(tenant, person.body.id, signal));
    if (minted?.status !== 200) return false;
    const { verification_code } = minted.body;
    codes.set(verification_code, "minted");
    if (keep) return true;
    codes.set(verification_code, "asked");
    const redeemed = await ask((tenant, signal) => authorize(tenant, { verification_code }, { signal }));
    if (redeemed?.status !== 302) return false;
    if (codes.get(verification_code) === "redeemed") load.twice++;
    codes.set(verification_code, "redeemed");
    return true;
  }

  async function live(): Promise<void> {
    for (let n = 1; running; n++) if (!(await logIn(n % KEPT === 0))) await pause(20);
  }

  const ended = Array.from({ length: lives }, live);
  return Object.assign(load, {
    async underWay() {
      const until = performance.now() + 60_000;
      while (!isLoad(codes)) {
        if (performance.now() > until) throw new Error(`the load did not get under way: ${JSON.stringify(seen(load))}`);
        await pause(20);
      }
    },
    async stop() {
      running = false;
      await Promise.all(ended);
    },
  });
}

function askToMint(tenant: Tenant, user_id: string, signal?: AbortSignal): Promise<Reply> {
  const json = { audience: tenant.audience, client_id: tenant.client.client_id, user_id, format: "link" };
  const options = { method: "POST", token: tenant.token, json, ...(signal ? { signal } : {}) };
  return call(`${tenant.base}/auth/passwordless/code`, options);
}

/** Some codes were acknowledged and left, some were redeemed. */
function isLoad(codes: ReadonlyMap<string, Fate>): boolean {
  const fates = [...codes.values()];
  const count = (fate: Fate) => fates.filter((one) => one === fate).length;
  return count("minted") > 2 && count("redeemed") > 4;
}

async function withinTime<T>(ms: number, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const signal = AbortSignal.timeout(ms);
  return work(signal).catch((error: unknown) => {
    throw signal.aborted ? new Hung() : error;
  });
}

/** Milliseconds until somebody can log in again. */
export async function untilServed(tenant: Tenant, patience = 60_000): Promise<number> {
  const began = performance.now();
  while (performance.now() - began < patience) {
    const verification_code = await mintCode(tenant, { format: "link" }).catch(() => undefined);
    const reply = verification_code && (await authorize(tenant, { verification_code }).catch(() => undefined));
    if (reply && reply.status === 302) return Math.round(performance.now() - began);
    await pause(50);
  }
  throw new Error("nobody could log in again");
}

export interface Fault {
  readonly fault: string;
  readonly engine: Engine;
  readonly runs: number;
  readonly back_ms: number;
}

/**
 * Asks for every code again, twice at the same time. A code that was minted works once; one that was asked for works once or has
 * been used; one that was redeemed has been used.
 */
export async function judge(tenant: Tenant, load: Load, fault: Fault): Promise<void> {
  let [acknowledged, lost, { twice }] = [0, 0, load];
  const answerOf = async (verification_code: string) => {
    const { status, body } = await authorize(tenant, { verification_code });
    return status === 302 ? "302" : String(body?.error?.code);
  };
  async function judgeCode(code: string, fate: Fate): Promise<void> {
    const answers = await Promise.all([answerOf(code), answerOf(code)]);
    const worked = answers.filter((answer) => answer === "302").length;
    const used = answers.filter((answer) => answer === "verification_code_used").length;
    acknowledged += fate === "redeemed" ? 2 : 1;
    if (worked > 1 || (worked === 1 && fate === "redeemed")) twice++;
    if (worked + used < 2 || (worked === 0 && fate === "minted")) lost++;
  }
  const all = [...load.codes];
  while (all.length > 0) await Promise.all(all.splice(0, 8).map(([code, fate]) => judgeCode(code, fate)));
  const hung = load.hung.reduce((sum, number) => sum + number, 0);
  note({ ...fault, acknowledged, lost, twice, hung });
  expect({ lost, twice, hung }, JSON.stringify(seen(load))).toEqual({ lost: 0, twice: 0, hung: 0 });
  expect(isLoad(load.codes), "there was load").toBe(true);
}

export const seen = ({ codes, refused, dropped, hung }: Omit<Load, "underWay" | "stop">) => ({
  codes: codes.size,
  refused: Object.fromEntries(refused),
  dropped,
  hung,
});

/** FAULTS_OUT, when it is set, is a file that gets one line of JSON a fault. */
export function note(line: object): void {
  const { FAULTS_OUT } = process.env;
  if (FAULTS_OUT) appendFileSync(FAULTS_OUT, `${JSON.stringify(line)}\n`);
}

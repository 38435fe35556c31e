import type { Logger } from "../../telemetry/log.ts";
import type { Directory } from "../directory.ts";
import { listLostGrants } from "./lost-grants.ts";

/** Lost grants that are named, about, and grants that are looked at: enough to know. */
const ENOUGH = { most: 50, looks: 10_000 };

/** Whoever changed PUBLIC_URL reads it in the log, and not of each client that is turned away. Nothing waits for it. */
export function tellLost(directory: Directory, log: Logger): { stop(): Promise<void> } {
  const stopping = new AbortController();
  const { signal } = stopping;
  const told = tell(directory, log, signal).catch((err: unknown) => {
    if (!signal.aborted) log.warn({ err }, "grants at another address were not looked for");
  });
  return {
    stop() {
      stopping.abort();
      return told;
    },
  };
}

async function tell(directory: Directory, log: Logger, signal: AbortSignal): Promise<void> {
  const lost = await listLostGrants(directory, { ...ENOUGH, signal });
  if (lost.length === 0) return;
  const [audiences, accounts] = [lost.map(({ audience }) => audience), lost.map(({ account }) => account.account_id)];
  log.warn(
    { audiences: [...new Set(audiences)], accounts: [...new Set(accounts)] },
    "grants are for an account API at another address than PUBLIC_URL: if that was this server, latchkey doctor says what to do",
  );
}

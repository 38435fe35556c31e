export interface PostgresServer {
  /** URL of the maintenance database; other databases lie beside it. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

/** `settings`: of a server that is started, `fsync=off`. */
export function startPostgres(settings?: readonly string[]): Promise<PostgresServer>;
export function freePort(): Promise<number>;
/** The folder of PostgreSQL's programs; embedded ones are copied to `folder`. */
export function findBinaries(folder: string): string;
/** Who runs PostgreSQL where root must not. */
export function unprivileged(): { uid?: number; gid?: number };
export function untilReady(url: string, server: import("node:child_process").ChildProcess): Promise<void>;

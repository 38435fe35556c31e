export interface PostgresServer {
  /** URL of the maintenance database; other databases lie beside it. */
  readonly url: string;
  readonly stop: () => Promise<void>;
}

export function startPostgres(): Promise<PostgresServer>;
export function freePort(): Promise<number>;

/**
 * PostgreSQL, version 14 or newer, behind the verbs of `storage.ts`, shared by any number of identical processes: a
 * pool of connections, hot statements that travel in batches (`batcher.ts`), the database's clock (`clock.ts`), and
 * names for statements that come often (`statement-names.ts`).
 *
 * In: a URL. Out: an `EngineStorage`. What loses against a concurrent transaction is tried again; what the database
 * does not answer within seconds is refused.
 */
import { Kysely, PostgresDialect } from "kysely";
import pg from "pg";
import { refuse } from "../../errors.ts";
import type { Database, EngineStorage, EngineTransaction, HotStatement, Row } from "../storage.ts";
import type { Tables } from "../tables.ts";
import { openTurns } from "../turns.ts";
import { type Batcher, openBatcher } from "./batcher.ts";
import { openClock } from "./clock.ts";
import { isHeld, isRetriable, isUnavailable, mapUnavailable, unreachable } from "./errors.ts";
import { openStatementNames } from "./statement-names.ts";

export interface PostgresOptions {
  readonly url: string;
  readonly strict: boolean;
  readonly onQuery?: (sql: string) => void;
}

interface Context {
  readonly nameOf: ReturnType<typeof openStatementNames>;
  readonly transactions: WeakMap<pg.PoolClient, EngineTransaction>;
  readonly onQuery: PostgresOptions["onQuery"];
}

const POOL_SIZE = 10;
/** Milliseconds after which a request is refused rather than kept waiting for the database. */
const DEADLINE = 5_000;
const TRIES = 4;
/**
 * Milliseconds for which a single statement waits for a lock: a batch that waited longer would keep its place from everybody. A
 * transaction waits as long as its server says.
 */
const LOCK_PATIENCE = 200;
const BEGIN = "begin; set local lock_timeout = 0";
/** … one of a batch that had to wait too long: as many as are in it may each have to wait. */
const BRIEFLY = "begin; set local lock_timeout = 5";

/** int8 as a number: every 64-bit column of ours holds counts. */
const types = {
  getTypeParser: ((oid: number, format?: "text" | "binary") =>
    oid === pg.types.builtins.INT8
      ? Number
      : pg.types.getTypeParser(oid, format as "text")) as typeof pg.types.getTypeParser,
};

/** @throws what stands against reading its clock, which comes first. */
export async function openPostgres(options: PostgresOptions): Promise<EngineStorage> {
  const pool = openPool(options);
  const clock = await openClock(pool).catch(async (error: unknown) => {
    await pool.end();
    throw error;
  });
  const turns = openTurns();
  const batchers = new Map<string, Batcher<never, unknown>>();
  const context: Context = { nameOf: openStatementNames(), transactions: new WeakMap(), onQuery: options.onQuery };

  function batcherOf<I, O>(statement: HotStatement<I, O>): Batcher<I, O> {
    const known = batchers.get(statement.name);
    if (known) return known as unknown as Batcher<I, O>;
    const batcher = openBatcher(
      statement,
      {
        together: (inputs) =>
          retrying(() => onConnection(pool, (client) => runHot(client, statement, inputs, context))),
        briefly: (inputs) => retrying(() => transact(pool, ({ hot }) => hot(statement, inputs), context, BRIEFLY)),
      },
      DEADLINE,
      turns,
    );
    batchers.set(statement.name, batcher as unknown as Batcher<never, unknown>);
    return batcher;
  }

  return {
    engine: "postgres",
    read: kyselyOver(patient(pool), context),
    write: (work) => retrying(() => transact(pool, work, context)),
    hot: (statement, input) => batcherOf(statement)(input),
    now: clock.now,
    ping: () => ping(pool),
    async close() {
      clock.stop();
      await pool.end();
    },
  };
}

function openPool(options: PostgresOptions): pg.Pool {
  const pool = new pg.Pool({
    connectionString: options.url,
    max: POOL_SIZE,
    types,
    connectionTimeoutMillis: DEADLINE,
    query_timeout: DEADLINE,
    statement_timeout: DEADLINE,
    idle_in_transaction_session_timeout: 2 * DEADLINE,
    application_name: "latchkey",
    onConnect: prepareConnection,
  });
  // A connection that breaks is replaced by the pool, and whoever was using it learns of it from their query. Without a
  // listener it would end the process: the pool listens to idle connections only.
  pool.on("error", () => {});
  pool.on("connect", (client) => client.on("error", () => {}));
  return pool;
}

/**
 * Hot statements are planned while tables are small, and have to be good when they are not. A statement sees what was
 * committed before it began, and goes on with a row that it waited for, whatever role or database say of transactions. An
 * engine that speaks PostgreSQL but does not know these goes without.
 */
const SETTINGS = [
  "set jit = off; set enable_seqscan = off",
  `set lock_timeout = ${LOCK_PATIENCE}`,
  "set default_transaction_isolation = 'read committed'",
];

async function prepareConnection(client: pg.ClientBase): Promise<void> {
  for (const settings of SETTINGS)
    await client.query(settings).catch((error: unknown) => {
      if (isUnavailable(error)) throw error;
    });
}

/**
 * Rejects also for a server that has become a standby, or may only be read otherwise: as a write there would, and with
 * it goes the connection, since the address may lead to the primary by now.
 */
function ping(pool: pg.Pool): Promise<void> {
  return onConnection(pool, async (client) => {
    const { rows } = await client.query("select current_setting('transaction_read_only') as read_only").catch(rethrow);
    if (rows[0]?.read_only === "on")
      throw unreachable(Object.assign(new Error("it may only be read"), { code: "25006" }));
  });
}

/** @throws 503 temporarily_unavailable when none comes about. */
const connect = (pool: pg.Pool): Promise<pg.PoolClient> =>
  pool.connect().catch((cause: unknown) => {
    throw unreachable(cause);
  });

/** Whatever is unavailable there ends the connection. */
async function onConnection<T>(pool: pg.Pool, work: (client: pg.PoolClient) => Promise<T>): Promise<T> {
  const client = await connect(pool);
  let broken: Error | undefined;
  try {
    return await work(client);
  } catch (error) {
    if (isUnavailable(error)) broken = toError(error);
    throw error;
  } finally {
    client.release(broken);
  }
}

async function runHot<I, O>(
  client: pg.PoolClient,
  statement: HotStatement<I, O>,
  inputs: readonly I[],
  { onQuery }: Context,
): Promise<readonly O[]> {
  const { text, parameters, answers } = statement.postgres;
  onQuery?.(text);
  const result = await client
    .query({ name: statement.name, text, values: parameters(inputs) as unknown[] })
    .catch(rethrow);
  return answers(result.rows as Row[], inputs);
}

async function transact<T>(
  pool: pg.Pool,
  work: (tx: EngineTransaction) => Promise<T>,
  context: Context,
  begin = BEGIN,
): Promise<T> {
  const client = await connect(pool);
  let broken: Error | undefined;
  try {
    await client.query(begin);
    const value = await work(transactionOn(client, context));
    await client.query("commit");
    return value;
  } catch (error) {
    broken = isUnavailable(error) ? toError(error) : await client.query("rollback").then(() => undefined, toError);
    throw mapUnavailable(error);
  } finally {
    client.release(broken);
  }
}

/** One after another on a connection, so each connection needs only one. */
function transactionOn(client: pg.PoolClient, context: Context): EngineTransaction {
  const known = context.transactions.get(client);
  if (known) return known;
  const once = { query: client.query.bind(client), release() {} };
  const transaction: EngineTransaction = {
    db: kyselyOver({ connect: async () => once, end: async () => {} }, context),
    hot: (statement, inputs) => runHot(client, statement, inputs, context),
  };
  context.transactions.set(client, transaction);
  return transaction;
}

interface PoolLike {
  connect(): Promise<{ query: pg.PoolClient["query"]; release(broken?: Error): void }>;
  end(): Promise<void>;
}

/** What is read waits for a table that a migration holds, as long as for anything. */
function patient(pool: pg.Pool): PoolLike {
  return {
    end: () => pool.end(),
    connect: async () => {
      const client = await connect(pool);
      const query = async (asked: pg.QueryConfig) => {
        for (const until = performance.now() + DEADLINE; ; ) {
          try {
            return await client.query(asked);
          } catch (error) {
            if (!isHeld(error)) throw error;
            if (performance.now() > until)
              throw refuse("temporarily_unavailable", { detail: "a table is held", cause: error, retry_after: 1 });
          }
        }
      };
      return { query: query as pg.PoolClient["query"], release: (broken) => client.release(broken) };
    },
  };
}

function kyselyOver(pool: PoolLike, { nameOf, onQuery }: Context): Database {
  const watched = {
    end: () => pool.end(),
    connect: async () => {
      const client = await pool.connect();
      let broken: Error | undefined;
      return {
        // One that did not answer in time may never answer: the pool must not hand it out again.
        release: () => client.release(broken),
        query: (text: string, values: unknown[]) => {
          onQuery?.(text);
          return client.query({ name: nameOf(text, values), text, values }).catch((error: unknown) => {
            if (isUnavailable(error)) broken = toError(error);
            return rethrow(error);
          });
        },
      };
    },
  };
  return new Kysely<Tables>({ dialect: new PostgresDialect({ pool: watched as never }) });
}

/** Repeats what lost against a concurrent transaction; nothing of it was committed. */
async function retrying<T>(work: () => Promise<T>): Promise<T> {
  for (let attempt = 1; ; attempt++) {
    try {
      return await work();
    } catch (error) {
      if (!isRetriable(error) || attempt >= TRIES) throw error;
      await new Promise((resolve) => setTimeout(resolve, Math.random() * 20 * attempt));
    }
  }
}

function toError(error: unknown): Error {
  return error instanceof Error ? error : new Error(String(error));
}

function rethrow(error: unknown): never {
  throw mapUnavailable(error);
}

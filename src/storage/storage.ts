/**
 * Where Latchkey keeps what it promised: one SQLite file, or PostgreSQL, behind one small set of verbs. Chosen by
 * DATABASE_URL; every store and flow runs on both.
 *
 * What `write` or `hot` acknowledged is on disk: after a crash at any instant it is still there.
 * Reads see committed rows only. Time is the database's: `now` follows PostgreSQL's clock on every process.
 */
import type { Kysely } from "kysely";
import type { Tables } from "./tables.ts";

export type Engine = "sqlite" | "postgres";

/** RFC 3339, UTC, milliseconds: `2026-01-31T12:00:00.000Z`. Sorts as text. */
export type Instant = string;

export type Database = Kysely<Tables>;

export interface Transaction {
  readonly db: Database;
  /**
   * Runs a hot statement inside this transaction, for inputs of which no two have the same key; one answer an input, in
   * order.
   */
  hot<I, O>(statement: HotStatement<I, O>, inputs: readonly I[]): Promise<readonly O[]>;
  /** Done once the commit is on disk, before `write` resolves, and never when nothing was committed. `act` does not throw. */
  onDisk(act: () => void): void;
}

/** What an engine brings; `openStorage` adds the rest for both. */
export type EngineTransaction = Omit<Transaction, "onDisk">;

export interface EngineStorage extends Omit<Storage, "write"> {
  write<T>(work: (tx: EngineTransaction) => Promise<T>): Promise<T>;
}

export interface Storage {
  readonly engine: Engine;
  /** Committed rows. */
  readonly read: Database;
  /**
   * One transaction; resolves when its commit is on disk. `work` may run again after a serialisation failure, and awaits
   * nothing but its own `tx`: no network, no hashing, no `storage.read`.
   */
  write<T>(work: (tx: Transaction) => Promise<T>): Promise<T>;
  /** One atomic statement on the request path, batched with its neighbours; resolves when it is on disk. */
  hot<I, O>(statement: HotStatement<I, O>, input: I): Promise<O>;
  /** Milliseconds since the epoch, by the database's clock. */
  now(): number;
  /** Cheap proof that the database answers; rejects when it does not. */
  ping(): Promise<void>;
  close(): Promise<void>;
}

/** Values that both engines can bind. */
export type Bindable = string | number | bigint | boolean | Uint8Array | null;
export type Row = Readonly<Record<string, unknown>>;

/** The synchronous side of SQLite that a hot statement runs on; statements are prepared once per text. */
export interface SqliteConnection {
  all(sql: string, ...parameters: readonly Bindable[]): readonly Row[];
  /** The first row. */
  one(sql: string, ...parameters: readonly Bindable[]): Row | undefined;
  /** Number of rows changed. */
  run(sql: string, ...parameters: readonly Bindable[]): number;
}

/**
 * A statement on the request path with two bodies side by side. On SQLite `sqlite` runs synchronously in the open group
 * commit, on the writer's thread where there is one, and may run again when a neighbour failed. On PostgreSQL calls
 * that arrive while batches are in flight travel as one statement in set form.
 *
 * `spending`: a batch holds a key once; the next with that key waits for the next batch.
 * `counting`: inputs of one key are merged into one, and the one answer is split among them again.
 */
export interface HotStatement<I, O> {
  readonly name: string;
  /**
   * The module that exports it (`hotSource`); a thread loads it there, and inputs and answers travel as JSON.
   * What has none runs where it is asked for.
   */
  readonly source?: string;
  key(input: I): string;
  readonly mode: { readonly kind: "spending" } | Counting<I, O>;
  sqlite(db: SqliteConnection, input: I): O;
  readonly postgres: {
    /** Set form over `unnest($1::…[], $2::…[], …) with ordinality`. */
    readonly text: string;
    /** One array a parameter, each as long as `inputs`. */
    parameters(inputs: readonly I[]): readonly (readonly Bindable[])[];
    /** One answer an input, in order. */
    answers(rows: readonly Row[], inputs: readonly I[]): readonly O[];
  };
}

export interface Counting<I, O> {
  readonly kind: "counting";
  merge(inputs: readonly I[]): I;
  split(answer: O, inputs: readonly I[]): readonly O[];
}

/** A busy server asks for the same few milliseconds many times, both ways. */
const texts = new Map<number, Instant>();
const times = new Map<Instant, number>();
const REMEMBERED = 64;

export function instant(milliseconds: number): Instant {
  const known = texts.get(milliseconds);
  if (known !== undefined) return known;
  const text = new Date(milliseconds).toISOString();
  remember(texts, milliseconds, text);
  remember(times, text, milliseconds);
  return text;
}

/** Milliseconds since the epoch. */
export function epoch(at: Instant): number {
  const known = times.get(at);
  if (known !== undefined) return known;
  const milliseconds = Date.parse(at);
  remember(times, at, milliseconds);
  return milliseconds;
}

function remember<K, V>(map: Map<K, V>, key: K, value: V): void {
  if (map.size >= REMEMBERED) map.clear();
  map.set(key, value);
}

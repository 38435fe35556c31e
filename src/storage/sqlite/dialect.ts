import {
  type CompiledQuery,
  type DatabaseConnection,
  Kysely,
  type QueryResult,
  type SelectModifierNode,
  SqliteAdapter,
  SqliteIntrospector,
  SqliteQueryCompiler,
} from "kysely";
import type { Bindable, Database } from "../storage.ts";
import type { Tables } from "../tables.ts";
import type { SqliteFile } from "./connection.ts";

const READS = /^\s*(select|with|pragma)\b|\breturning\b/i;

/** One write runs at a time, so no row need be held: SQLite has no words for that. */
class LocklessCompiler extends SqliteQueryCompiler {
  protected override visitSelectModifier(node: SelectModifierNode): void {
    if (node.modifier === "Distinct" || node.rawModifier) super.visitSelectModifier(node);
  }
}

/**
 * Kysely over one open SQLite connection, without a pool and without a mutex: the caller owns the transaction, and
 * `checkUsable` throws when that transaction is over.
 */
export function kyselyOn(file: SqliteFile, checkUsable: () => void = () => {}): Database {
  const connection: DatabaseConnection = {
    executeQuery<R>(query: CompiledQuery): Promise<QueryResult<R>> {
      return new Promise((resolve) => {
        checkUsable();
        const parameters = query.parameters as readonly Bindable[];
        if (READS.test(query.sql)) resolve({ rows: file.all(query.sql, ...parameters) as R[] });
        else resolve({ rows: [], numAffectedRows: BigInt(file.run(query.sql, ...parameters)) });
      });
    },
    streamQuery() {
      throw new Error("streaming is not supported");
    },
  };
  const nothing = async () => {};
  return new Kysely<Tables>({
    dialect: {
      createAdapter: () => new SqliteAdapter(),
      createIntrospector: (db) => new SqliteIntrospector(db),
      createQueryCompiler: () => new LocklessCompiler(),
      createDriver: () => ({
        init: nothing,
        acquireConnection: async () => connection,
        beginTransaction: async () => {
          throw new Error("use storage.write for transactions");
        },
        commitTransaction: nothing,
        rollbackTransaction: nothing,
        releaseConnection: nothing,
        destroy: nothing,
      }),
    },
  });
}

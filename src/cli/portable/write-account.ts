import { sql } from "kysely";
import { recordDeed } from "../../audit/audit.ts";
import { canonicalName } from "../../authentication/usernames/username.ts";
import type { Core } from "../../core.ts";
import { refuseField } from "../../errors.ts";
import { NOBODY } from "../../oauth/registration/registration.ts";
import { migrate } from "../../storage/migrate.ts";
import { openStorage } from "../../storage/open.ts";
import { type Database, instant, type Transaction } from "../../storage/storage.ts";
import { actor, rehearse } from "../run.ts";
import { errorOfTrial, makeTrialDatabase } from "../trial.ts";
import { checkPortable } from "./check-portable.ts";
import { decodeRow, type PortableAccount, type PortableRow, type PortableTable, portable_tables } from "./portable.ts";

/**
 * Does all that `writeAccount` does, and undoes it; with SQLite, where nobody else could write for as long as that
 * takes, in a database that is thrown away.
 *
 * @throws 400 invalid_request: what `writeAccount` would refuse.
 */
export async function tryAccount(core: Core, portable: PortableAccount): Promise<void> {
  if (core.storage.engine !== "sqlite") return rehearse(core.storage, writing(core, portable));
  await refuseTaken(core.storage.read, portable.account_id);
  const { database_url, end } = makeTrialDatabase();
  try {
    await migrate(database_url);
    const storage = await openStorage({ database_url });
    await storage.write(writing({ ...core, storage }, portable)).finally(() => storage.close());
  } catch (error) {
    throw errorOfTrial(error);
  } finally {
    end();
  }
}

/** Servers that run here read what was revoked since they last looked; `expires_at` goes on saying when it was. */
function arrivingIn(table: PortableTable, now: string) {
  return table === "revocations" ? { revoked_at: now } : {};
}

/** A file of a build from before may not say since when a stranger's client waits, and one that does not would never give way. */
function waitingSince({ origin, created_by, untried_since }: PortableRow, now: string) {
  const strangers = origin === "metadata" || (origin === "dynamic" && created_by === NOBODY);
  return strangers ? { untried_since: untried_since ?? now } : {};
}

/**
 * What a name that lives is found by in any case. A file of a build from before does not say it, and one of a server
 * beside which such a build ran may say another's: as the migration has it, names of living people that differ in case
 * alone get none, nor do those of people who are gone.
 */
function canonicalNames(rows: readonly PortableRow[], users: readonly PortableRow[]) {
  const nameOf = ({ username }: PortableRow) => canonicalName(String(username));
  const people = new Set(users.filter(({ deleted_at }) => deleted_at === null).map(({ id }) => id));
  const stands = ({ deleted_at }: PortableRow) => deleted_at === null;
  const lives = ({ user_id }: PortableRow) => people.has(user_id);
  const known = new Set<string>();
  const shared = new Set<string>();
  for (const name of rows.filter((row) => stands(row) && lives(row)).map(nameOf))
    (known.has(name) ? shared : known).add(name);
  return (row: PortableRow): { readonly username_canonical?: string | null } => {
    if (!stands(row)) return {};
    if (!lives(row)) return { username_canonical: null };
    const name = nameOf(row);
    if (!shared.has(name)) return { username_canonical: name };
    const said = row.username_canonical;
    return { username_canonical: typeof said === "string" && canonicalName(said) === name ? said : null };
  };
}

/**
 * Writes an exported account, whole or not at all.
 *
 * @throws 400 invalid_request: the account exists, a master key is missing, or the file is not what it says.
 */
export async function writeAccount(core: Core, portable: PortableAccount): Promise<void> {
  await core.storage.write(writing(core, portable));
  core.directory.accounts.clear();
}

async function refuseTaken(db: Database, account_id: string): Promise<void> {
  const { rows } = await sql`select 1 from accounts where account_id = ${account_id}`.execute(db);
  if (rows.length > 0) throw refuseField("account_id", "taken", `${account_id} is here already`);
}

/** What the transaction does. */
function writing({ storage, directory }: Core, portable: PortableAccount): (tx: Transaction) => Promise<void> {
  checkPortable(portable, directory.master_keys.versions);
  const { account_id, tables } = portable;
  return async (tx) => {
    await refuseTaken(tx.db, account_id);
    const canonical = canonicalNames(tables.usernames ?? [], tables.users ?? []);
    const arriving = (table: PortableTable, row: PortableRow) => ({
      ...decodeRow(row),
      ...(table === "usernames" ? canonical(row) : {}),
      ...(table === "clients" ? waitingSince(row, instant(storage.now())) : {}),
      ...arrivingIn(table, instant(storage.now())),
    });
    for (const table of portable_tables) {
      for (const row of tables[table] ?? []) {
        await tx.db
          .insertInto(table)
          .values(arriving(table, row) as never)
          .execute();
      }
    }
    await recordDeed(tx, {
      account_id,
      action: "account.imported",
      entity: account_id,
      now: instant(storage.now()),
      actor,
    });
  };
}

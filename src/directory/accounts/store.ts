import { inPages } from "../../storage/pages.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import type { Account } from "./account.ts";
import { type AccountSettings, accountSettings } from "./settings.ts";

const columns = ["account_id", "name", "settings", "created_at", "updated_at"] as const;

export async function selectAccount(db: Database, account_id: string): Promise<Account | undefined> {
  const row = await db
    .selectFrom("accounts")
    .select(columns)
    .where("account_id", "=", account_id)
    .where("deleted_at", "is", null)
    .executeTakeFirst();
  return row && fromRow(row).account;
}

export async function selectAccounts(db: Database, ids: readonly string[]): Promise<readonly Account[]> {
  if (ids.length === 0) return [];
  const query = db
    .selectFrom("accounts")
    .select(columns)
    .where("account_id", "in", ids)
    .where("deleted_at", "is", null);
  return (await query.execute()).map((row) => fromRow(row).account);
}

/** An account of a list. */
export type ListedAccount = Omit<Account, "settings">;

const PAGE = 200;

/** Live accounts by their ids, of which no more than a page is held at a time. */
export function pagesOfAccounts(db: Database): AsyncIterable<readonly ListedAccount[]> {
  return inPages<ListedAccount>(PAGE, (last) =>
    db
      .selectFrom("accounts")
      .select(["account_id", "name", "created_at", "updated_at"])
      .where("account_id", ">", last?.account_id ?? "")
      .where("deleted_at", "is", null)
      .orderBy("account_id")
      .limit(PAGE)
      .execute(),
  );
}

export interface HeldAccount {
  readonly account: Account;
  /** What was set, without defaults. */
  readonly stored: Partial<AccountSettings>;
}

/** Held until this transaction ends. */
export async function updateHeld(db: Database, account_id: string, now: Instant): Promise<HeldAccount | undefined> {
  const [row] = await db
    .updateTable("accounts")
    .set({ updated_at: now })
    .where("account_id", "=", account_id)
    .where("deleted_at", "is", null)
    .returning(columns)
    .execute();
  return row && fromRow(row);
}

/** The same, unchanged. */
export async function selectForUpdate(db: Database, account_id: string): Promise<void> {
  await db.selectFrom("accounts").select("account_id").where("account_id", "=", account_id).forUpdate().execute();
}

function fromRow(row: Omit<Account, "settings"> & { readonly settings: string }): HeldAccount {
  const stored = JSON.parse(row.settings) as Partial<AccountSettings>;
  return { account: { ...row, settings: accountSettings(stored) }, stored };
}

interface AccountRow {
  readonly account_id: string;
  readonly name: string;
  readonly settings: Partial<AccountSettings>;
  readonly created_at: Instant;
  readonly created_by: string;
}

/** @returns undefined when the id is taken. */
export async function insertAccount(db: Database, account: AccountRow): Promise<Account | undefined> {
  const [row] = await db
    .insertInto("accounts")
    .values({ ...account, settings: JSON.stringify(account.settings), updated_at: account.created_at })
    .onConflict((conflict) => conflict.column("account_id").doNothing())
    .returning(columns)
    .execute();
  return row && fromRow(row).account;
}

/** A name of undefined stays. */
export async function updateAccount(
  db: Database,
  { account_id, name, settings }: Pick<AccountRow, "account_id" | "settings"> & { readonly name?: string | undefined },
  now: Instant,
): Promise<void> {
  await db
    .updateTable("accounts")
    .set({ ...(name === undefined ? {} : { name }), settings: JSON.stringify(settings), updated_at: now })
    .where("account_id", "=", account_id)
    .execute();
}

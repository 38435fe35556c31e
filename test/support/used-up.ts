import { type BudgetName, budgets } from "../../src/limits/budgets.ts";
import { takeBudget } from "../../src/limits/limits.ts";
import { siteSubject, sourceSubject } from "../../src/limits/source.ts";
import type { Storage } from "../../src/storage/storage.ts";
import type { Latchkey, Tenant } from "./latchkey.ts";

type Whose = Pick<Tenant, "account_id">;

/** Takes all but `leaving` of what an address has at an account. */
export function useUpSource(latchkey: Latchkey, whose: Whose, budget: BudgetName, address: string, leaving = 0) {
  const { master_keys } = latchkey.server.core.directory;
  return useUp(latchkey, whose, budget, sourceSubject(master_keys, whose.account_id, address), leaving);
}

/** The same of what all networks of an IPv6 site have. */
export function useUpSite(latchkey: Latchkey, whose: Whose, budget: BudgetName, address: string, leaving = 0) {
  const { master_keys } = latchkey.server.core.directory;
  return useUp(latchkey, whose, budget, siteSubject(master_keys, whose.account_id, address) ?? "", leaving);
}

/** How many subjects an account has rows of, of one budget. */
export async function countSubjects({ read }: Pick<Storage, "read">, { account_id }: Whose, budget: BudgetName) {
  const rows = read.selectFrom("budgets").select("subject").where("account_id", "=", account_id);
  return (await rows.where("budget", "=", budget).execute()).length;
}

async function useUp(latchkey: Latchkey, { account_id }: Whose, budget: BudgetName, subject: string, leaving: number) {
  const { storage } = latchkey.server.core;
  const cost = budgets[budget].limit - leaving;
  await takeBudget(storage, { account_id, budget, subject, cost }, storage.now());
}

import { lookUpAccount } from "../accounts/find-account.ts";
import type { Directory } from "../directory.ts";
import { canonicalEmail, canonicalPhoneNumber } from "./identifier.ts";

/** One spelling for an address or number that messages went to; what is neither stays as it is. */
export async function canonicalRecipient(directory: Directory, account_id: string, to: string): Promise<string> {
  if (to.includes("@")) return canonicalEmail(to) ?? to;
  const account = await lookUpAccount(directory, account_id);
  return (await canonicalPhoneNumber(to, account?.settings.country ?? "NO"))?.number ?? to;
}

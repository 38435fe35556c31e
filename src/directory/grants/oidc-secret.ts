import { unseal } from "../../secrets/seal.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import type { Directory } from "../directory.ts";
import type { Grant } from "./grant.ts";
import { selectOidcSecret } from "./store.ts";

/** What the secret that we show to a grant's provider is sealed for. */
export const secretContext = (account_id: string, id: string) =>
  ({ account_id, purpose: "seal", subject: `grants/${id}` }) as const;

/** The secret that we show to a grant's provider. */
export async function openOidcSecret(
  { storage, master_keys }: Directory,
  { account_id, id }: Grant,
): Promise<Secret | undefined> {
  const sealed = await selectOidcSecret(storage.read, account_id, id);
  if (!sealed) return undefined;
  return secret(Buffer.from(unseal(master_keys, secretContext(account_id, id), sealed)).toString("utf8"));
}

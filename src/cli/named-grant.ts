import { didYouMean } from "../config/misspelled.ts";
import type { Account } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Directory } from "../directory/directory.ts";
import { isSameAudience } from "../directory/grants/audience.ts";
import { listGrants } from "../directory/grants/find-grant.ts";
import type { Grant, GrantType } from "../directory/grants/grant.ts";
import { refuse, refuseField } from "../errors.ts";

/** What a command says of the grant that it means. */
export interface Naming {
  readonly audience: string;
  readonly type?: GrantType | undefined;
  readonly id?: string | undefined;
}

/** @throws 404 not_found, 400 invalid_request where it may mean several. */
export async function findNamedGrant(
  directory: Directory,
  account: Account,
  client: Client,
  { audience, type, id }: Naming,
): Promise<Grant> {
  const held = await listGrants(directory, account.account_id, { client_id: client.id });
  const fits = (grant: Grant) =>
    isSameAudience(account, directory.public_url, grant.audience, audience) && (type ?? grant.type) === grant.type;
  const [grant, ...others] = held.filter((one) => (id === undefined ? fits(one) : one.id === id));
  if (!grant) {
    const audiences = held.map((one) => one.audience);
    const named = id ?? `for ${audience}${didYouMean(audience, audiences)}`;
    const of = `${client.client_id} has no grant ${named}${type ? ` of type ${type}` : ""}`;
    const remedy = `latchkey grant list ${account.account_id} ${client.client_id} says which there are.`;
    throw refuse("not_found", { message: `${of}: ${remedy}` });
  }
  if (others.length === 0) return grant;
  const each = [grant, ...others].map((one) => `${one.id} of type ${one.type}`).join(", ");
  throw refuseField("audience", "ambiguous", `has several grants: ${each}; name one by --type or --id`);
}

/** Scopes as somebody names those of a grant: words, texts of words, and lists with commas where none of it has one itself. */
export function namedScopes(grant: Grant, words: readonly string[]): readonly string[] {
  const named = words.flatMap((word) => (grant.scope.includes(word) ? [word] : word.split(",").filter(Boolean)));
  for (const one of named) {
    if (grant.scope.includes(one)) continue;
    throw refuseField("scope", "not_held", `${one} is not in grant ${grant.id}${didYouMean(one, grant.scope)}`);
  }
  return [...new Set(named)];
}

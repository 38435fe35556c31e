import type { Account } from "../../directory/accounts/account.ts";
import type { VerifiedField } from "../../directory/users/verify-contact.ts";
import { unlessRefused } from "../../errors.ts";
import type { Transaction } from "../../storage/storage.ts";
import { linkTo, readLinks } from "./read-links.ts";
import { holdUsernamesOf, updateUsername } from "./store.ts";
import type { Link } from "./username.ts";

/**
 * Names whose links lead to an address or number that their person has left lead to the other one. Part of the transaction of
 * the change, before it holds the person, as with whoever changes a name.
 */
export async function moveLinks(
  tx: Transaction,
  account: Account,
  user_id: string,
  field: VerifiedField,
  { from, to }: { readonly from: string; readonly to: string },
): Promise<void> {
  const { account_id } = account;
  const moved = async (link: Link): Promise<Link> => {
    const read = link.rel === field && (await readLinks([link], account).catch(unlessRefused("invalid_request")));
    return read && read[field] === from ? linkTo(field, to) : link;
  };
  for (const { id, links, updated_at } of await holdUsernamesOf(tx.db, account_id, user_id)) {
    const after = await Promise.all(links.map(moved));
    // As old as before: the name that was changed last says where codes go.
    if (after.some((link, at) => link !== links[at]))
      await updateUsername(tx.db, account_id, id, { links: after }, updated_at);
  }
}

/**
 * `/v1/account/user`: what account users see and change of themselves, whichever accounts they belong to.
 *
 * In: the bearer of an account user, or an ID token of their account's own provider. Out: their accounts, names and scopes; a
 * password that they change proves the one before it.
 */
import { configurationsOf } from "../../authentication/mfa/factors.ts";
import { isTestAccount } from "../../directory/accounts/account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import type { Directory } from "../../directory/directory.ts";
import { type AccountUser, holdingsOf } from "../../directory/users/account-user.ts";
import { type BrieflyShown, findAccountsOfAddress, lookUpBriefly } from "../../directory/users/find-account-user.ts";
import { canonicalEmail } from "../../directory/users/identifier.ts";
import type { Bearer } from "../../http/contract.ts";
import { nextTurn } from "../../storage/pages.ts";

/**
 * An account user and their accounts: the one of the token; others where the same person is an account user too, but only when
 * this very login began with a code that was mailed to that address, which a test account's is not.
 *
 * @throws 503 temporarily_unavailable when too many ask for those of one address.
 */
export async function showMe(directory: Directory, user: AccountUser, bearer: Bearer) {
  const { account_id, id, email } = user;
  const [first] = bearer.amr ?? [];
  const mailed = first === "otp" && !bearer.amr?.includes("sms") && !isTestAccount(account_id);
  const canonical = mailed && email !== null ? canonicalEmail(email) : undefined;
  const own = await membership(directory, { user, scope: holdingsOf(user).scope });
  const others = canonical === undefined ? [] : await showOthers(directory, account_id, canonical);
  const configuration = (await configurationsOf(directory, account_id, [id])).get(id);
  return {
    id,
    accounts: [own, ...others].filter((account) => account !== undefined),
    ...(configuration ? { configuration } : {}),
  };
}

/** Characters of scopes that the other accounts share: what one of them gives takes nothing of what another does. */
const SHARED = 200_000;

/** One after the other, so that everybody else has turns in between; and for one address once at a time. */
function showOthers(directory: Directory, account_id: string, canonical: string) {
  return directory.inTurn(`accounts of ${canonical}`, async () => {
    const places = await findAccountsOfAddress(directory, canonical);
    const others = places.filter((place) => place.account_id !== account_id);
    const shown = [];
    for (const place of others) {
      const found = await lookUpBriefly(directory, place.account_id, place.id, SHARED / others.length);
      if (found) shown.push(await membership(directory, found));
      await nextTurn();
    }
    return shown;
  });
}

async function membership(directory: Directory, { user, scope }: BrieflyShown) {
  const account = await lookUpAccount(directory, user.account_id);
  if (!account) return undefined;
  const { id, email, last_seen_at, name, profile } = user;
  const { brand, applicant } = account.settings;
  const organization_number = applicant?.organization_number;
  return {
    account_id: account.account_id,
    business_name: account.name,
    public_business_name: account.name,
    display_name: account.name,
    ...(typeof organization_number === "string" ? { organization_number } : {}),
    ...(brand.logo_uri === undefined ? {} : { icon_url: brand.logo_uri }),
    user: {
      id,
      email: email ?? "",
      ...(scope === undefined ? {} : { scope: [...scope] }),
      ...(last_seen_at === null ? {} : { last_seen_at }),
      ...(name === null ? {} : { name }),
      ...(profile.agreement ? { agreement: profile.agreement } : {}),
    },
  };
}

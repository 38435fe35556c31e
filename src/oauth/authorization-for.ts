import type { AuthenticatedSubject } from "../authentication/subject.ts";
import { type Account, issuerOf } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import { sectorOf } from "../directory/clients/sector.ts";
import type { Directory } from "../directory/directory.ts";
import { isAccountApi } from "../directory/grants/audience.ts";
import { publicGrantAt } from "../directory/grants/change-grants.ts";
import type { Grant } from "../directory/grants/grant.ts";
import type { Holdings } from "../directory/users/account-user.ts";
import { findHoldings } from "../directory/users/find-account-user.ts";
import type { Authorization, Issuing } from "../tokens/authorization.ts";
import { personScope, userinfoAudience } from "./scopes.ts";

/** Authentication context classes of this server: one factor, or two different ones (OpenID Connect Core §2). */
export const acr_values = ["urn:latchkey:acr:1fa", "urn:latchkey:acr:2fa"] as const;

export function issuingOf({ public_url }: Directory, { account_id, settings }: Account): Issuing {
  return {
    account_id,
    issuer: issuerOf(public_url, account_id),
    access_token_alg: settings.signing_alg,
    access_token_lifetime: settings.access_token_lifetime,
  };
}

export interface PersonLogin {
  readonly account: Account;
  readonly client: Client;
  readonly grant: Pick<Grant, "id" | "scope">;
  /** As it was asked for. */
  readonly audience: string;
  readonly subject: AuthenticatedSubject;
}

/** A person has proved who they are, and the client holds a grant: everything that tokens are made of. */
export async function authorizePerson(
  directory: Directory,
  { account, client, grant, audience, subject }: PersonLogin,
): Promise<Authorization> {
  const { user_id, email, email_verified, name, phone_number, authenticated_at, amr, authorization_id, began_at } =
    subject;
  const at_account_api = isAccountApi(account, directory.public_url, audience);
  const own = at_account_api && client.settings.user_type === "account_user";
  const { scope, holds } = own ? await findHoldings(directory, account.account_id, user_id) : NOTHING;
  const issuing = issuingOf(directory, account);
  const by_setting = grant.id === "" && audience !== userinfoAudience(directory.public_url, account.account_id);
  return {
    issuing,
    sid: authorization_id,
    began_at,
    subject: {
      type: "user",
      id: user_id,
      email,
      email_verified: email === undefined ? undefined : email_verified === true,
      name,
      phone_number,
      auth_time: Math.floor(authenticated_at / 1000),
      amr,
      acr: acrOf(amr),
    },
    client_id: client.client_id,
    client_uuid: client.id,
    grant_id: grant.id,
    by_device: subject.by_device,
    holds: by_setting ? [...holds, publicGrantAt(audience)] : holds,
    audience,
    scope: personScope(grant.scope, at_account_api, scope),
    sector: sectorOf(client),
    id_token_alg: client.settings.id_token_signed_response_alg,
  };
}

const NOTHING: Holdings = { scope: [], holds: [] };

export const acrOf = (amr: readonly string[]) => (amr.includes("mfa") ? acr_values[1] : acr_values[0]);

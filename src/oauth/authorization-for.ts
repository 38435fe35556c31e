import type { AuthenticatedSubject } from "../authentication/subject.ts";
import { type Account, issuerOf } from "../directory/accounts/account.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Directory } from "../directory/directory.ts";
import type { Authorization, Issuing } from "../tokens/authorization.ts";

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

interface Granted {
  readonly grant_id: string;
  readonly audience: string;
  readonly scope: readonly string[];
}

/** A person has proved who they are, and the client holds a grant: everything that tokens are made of. */
export function authorizationFor(
  directory: Directory,
  account: Account,
  client: Client,
  person: AuthenticatedSubject,
  granted: Granted,
): Authorization {
  const { user_id, email, email_verified, name, phone_number, authenticated_at, amr, authorization_id } = person;
  return {
    issuing: issuingOf(directory, account),
    sid: authorization_id,
    subject: {
      type: "user",
      id: user_id,
      ...(email === undefined ? {} : { email, email_verified: email_verified === true }),
      ...(name === undefined ? {} : { name }),
      ...(phone_number === undefined ? {} : { phone_number }),
      auth_time: Math.floor(authenticated_at / 1000),
      amr,
      acr: amr.includes("mfa") ? acr_values[1] : acr_values[0],
    },
    client_id: client.client_id,
    client_uuid: client.id,
    ...granted,
    id_token_alg: client.settings.id_token_signed_response_alg,
  };
}

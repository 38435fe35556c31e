/**
 * Account users: the people who run an account. They belong to one account, hold scopes of the account API themselves and
 * through roles, and log in by a code, a password, or an ID token of the account's own provider (`external`).
 */
import type { Static } from "typebox";
import { sha256Text } from "../../secrets/digest.ts";
import type { AccountSettings } from "../accounts/settings.ts";
import type { Role } from "../roles/role.ts";
import type { Agreement as AgreementSchema } from "./account-user-schema.ts";
import type { User } from "./user.ts";

export type Agreement = Static<typeof AgreementSchema>;

/** What an account user has beside a user; kept as one document. */
export interface AccountUserProfile {
  readonly authentication_type?: "external" | undefined;
  readonly agreement?: Agreement | undefined;
  /** Another one whenever what they hold changes; tokens name it. */
  readonly scope_version: string;
}

export interface AccountUser extends User {
  readonly profile: AccountUserProfile;
  /** Their own, without what roles add. */
  readonly scope: readonly string[];
  readonly roles: readonly Role[];
  readonly last_seen_at: string | null;
}

/** Of a stored profile: whom the account's own provider logs in, and nothing else. */
export const EXTERNAL = '%"authentication_type":"external"%';

/** Account users who are looked at for what they hold. */
export interface Holders {
  /** Those alone whom the account's own provider logs in. */
  readonly external: boolean;
}

/** What a person holds at the account API, and the names under which it can be revoked. */
export interface Holdings {
  readonly scope: readonly string[];
  /** Change when the person's own scopes or one of their roles does. */
  readonly holds: readonly string[];
}

const HELD = "held:";

export const holdingOfUser = (id: string, scope_version: string) => `${HELD}${id}@${scope_version}`;
/** Whether it says what somebody holds, little or nothing too. */
export const isHoldingOfUser = (held: string): boolean => held.startsWith(HELD);
export const holdingOfRole = ({ id, updated_at }: Pick<Role, "id" | "updated_at">) => `role:${id}@${updated_at}`;

type Provider = Omit<NonNullable<AccountSettings["jwks"]>, "name">;

/** The account's own provider, while it is this one. */
export const holdingOfProvider = ({ issuer, uri, audience }: Provider) =>
  `provider:${sha256Text(JSON.stringify([issuer, uri].concat(audience ?? [])))}`;

export function holdingsOf({ id, scope, roles, profile }: AccountUser): Holdings {
  return {
    scope: [...new Set([...scope, ...roles.flatMap((role) => role.scope)])],
    holds: [holdingOfUser(id, profile.scope_version), ...roles.map(holdingOfRole)],
  };
}

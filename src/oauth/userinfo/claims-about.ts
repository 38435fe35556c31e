import type { User } from "../../directory/users/user.ts";
import type { UserSubject } from "../../tokens/authorization.ts";

/** Which scope tells what about a person (OpenID Connect Core §5.4); a claim may also be asked for by itself (§5.5). */
const scopes = {
  email: "email",
  email_verified: "email",
  phone_number: "phone",
  phone_number_verified: "phone",
  name: "profile",
  locale: "profile",
  updated_at: "profile",
} as const;

export type ClaimName = keyof typeof scopes;

export const claim_names = Object.keys(scopes) as readonly ClaimName[];

/** The scope that a person reads when they are asked. */
export const scopeOfClaim = (name: ClaimName): string => scopes[name];

export const claimsOfScopes = (granted: readonly string[]): readonly ClaimName[] =>
  claim_names.filter((name) => granted.includes(scopes[name]));

/** What is known about a person, of these claims. */
export function claimsAbout(user: User, names: readonly string[]): Readonly<Record<string, unknown>> {
  const { email, email_verified_at, phone_number, phone_verified_at, name, locale, updated_at } = user;
  const all: Record<ClaimName, unknown> = {
    email,
    email_verified: email === null ? null : email_verified_at !== null,
    phone_number,
    phone_number_verified: phone_number === null ? null : phone_verified_at !== null,
    name,
    locale,
    updated_at: Math.floor(Date.parse(updated_at) / 1000),
  };
  const told = claim_names.filter((claim) => names.includes(claim) && all[claim] !== null);
  return Object.fromEntries(told.map((claim) => [claim, all[claim]]));
}

/** What an ID token tells of somebody because of its scopes. */
export function toldByScope(
  { email, email_verified_at, name, phone_number }: Pick<User, "email" | "email_verified_at" | "name" | "phone_number">,
  scope: readonly string[],
): Pick<UserSubject, "email" | "email_verified" | "name" | "phone_number"> {
  return {
    ...(scope.includes("email") && email ? { email, email_verified: email_verified_at !== null } : {}),
    ...(scope.includes("profile") && name ? { name } : {}),
    ...(scope.includes("phone") && phone_number ? { phone_number } : {}),
  };
}

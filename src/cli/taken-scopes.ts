import { heldNow } from "../directory/scopes.ts";
import type { Fault } from "../errors.ts";
import { REGISTER_SCOPE } from "../oauth/registration/registration.ts";
import { identity_scopes } from "../oauth/scopes.ts";

/** Scopes of the account API that at least one of its operations takes. */
export const taken_scopes = [
  "admin:accounts",
  "admin:customers",
  "aws.cognito.signin.user.admin",
  "create:account",
  "create:accounts:auth:refresh_token",
  "create:applicant",
  "create:customers:/users",
  "openid",
  "public:customers",
  "read:accounts",
  "read:accounts:/sandbox",
  "read:customers",
  "user:customers",
  "write:accounts",
  "write:accounts:/auth/mfa",
  "write:accounts:/auth/passwordless",
  "write:accounts:/auth/passwordless-email",
  "write:accounts:/auth/passwordless-sms",
  "write:accounts:/auth/passwordless/code",
  "write:accounts:/auth/users",
  "write:accounts:/auth/users/no-mfa",
  "write:customers",
];

/** Where no operation declares it: it is asked about inside one, or says what a token tells. */
const TAKEN = new Set([...taken_scopes, REGISTER_SCOPE, ...identity_scopes]);

const isTaken = (scope: string) => heldNow([scope]).some((one) => TAKEN.has(one));

/** Those that somebody may have meant: of the same verb, whole resources. */
const meantBy = (scope: string) =>
  taken_scopes.filter((one) => one.startsWith(scope.replace(/:.*/, ":")) && one.split(":").length === 2);

/** Scopes that may be given, and that most likely do not do what was meant. */
export function warningsOf(path: string, scope: readonly string[], at_account_api: boolean): readonly Fault[] {
  return scope.flatMap((one) => {
    if (one.includes(","))
      return [{ path, code: "comma", message: `${one} is one scope: spaces part several, commas do not` }];
    if (!at_account_api || isTaken(one)) return [];
    const meant = meantBy(one);
    const question = meant.length > 0 ? `; did you mean ${meant.join(" or ")}?` : "";
    return [{ path, code: "unknown", message: `${one} is taken by no operation of the account API${question}` }];
  });
}

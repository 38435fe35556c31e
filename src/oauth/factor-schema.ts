import { Type } from "typebox";
import type { PresentedFactor } from "../authentication/mfa/finish.ts";
import { LONGEST_TOKEN } from "../secrets/longest-token.ts";
import { optionalSecret } from "../secrets/secret.ts";

/** What finishes a login with a second factor: `mfa_token` with `oob_code` and `binding_code`, or with `otp`. */
export const factor_properties = {
  mfa_token: Type.Optional(
    Type.String({
      minLength: 1,
      maxLength: LONGEST_TOKEN,
      description: "Of the `mfa_required` error; works once, for 10 minutes.",
    }),
  ),
  oob_code: Type.Optional(
    Type.String({ minLength: 1, maxLength: 2_048, description: "Of auth/mfa/challenge or auth/mfa/recovery." }),
  ),
  binding_code: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: "What the person got by SMS or mail." }),
  ),
  otp: Type.Optional(
    Type.String({ minLength: 1, maxLength: 64, description: "One-time password of an authenticator app instead." }),
  ),
};

/** … but for the mfa_token. */
export const presentedFactor = ({
  oob_code,
  binding_code,
  otp,
}: {
  readonly [K in keyof PresentedFactor]: string | undefined;
}): PresentedFactor => ({
  oob_code: optionalSecret(oob_code),
  binding_code: optionalSecret(binding_code),
  otp: optionalSecret(otp),
});

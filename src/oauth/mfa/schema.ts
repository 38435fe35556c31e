import { Type } from "typebox";
import { LONGEST_TOKEN } from "../../secrets/longest-token.ts";
import { factor_properties } from "../factor-schema.ts";

const challenge_type = Type.Enum(["oob"]);
const channels = ["sms", "email"] as const;
const oob_channel = Type.Enum(channels, { default: "sms", description: "Where the binding code goes." });
const { mfa_token, oob_code } = factor_properties;

export const ChallengeBody = Type.Object({
  challenge_type,
  mfa_token: Type.String({ minLength: 1, maxLength: LONGEST_TOKEN, description: "Of the `mfa_required` error." }),
  oob_channel: Type.Optional(
    Type.Enum(channels, {
      description:
        "Where the binding code goes. Without it: to a channel that this login has not used yet, the account's `mfa_login_channel` first.",
    }),
  ),
});

export const ChallengeReply = Type.Object({
  challenge_type,
  binding_method: Type.Enum(["prompt"], { description: "The person types in what they got." }),
  oob_code,
});

export const RecoveryBody = Type.Object({
  challenge_type,
  username: Type.String({ minLength: 1, maxLength: 320 }),
  audience: Type.String({ minLength: 1, description: "An API that a grant of the calling client names." }),
  oob_channel: Type.Optional(oob_channel),
});

export const RecoveryReply = Type.Object({
  challenge_type,
  binding_method: Type.Enum(["prompt"]),
  oob_code,
  mfa_token,
});

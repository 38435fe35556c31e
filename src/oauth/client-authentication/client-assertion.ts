import type { JWTPayload } from "jose";
import { useStatement } from "../../authentication/used-tokens.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { judgeClient } from "../../directory/judge.ts";
import { blame } from "../../egress/documents.ts";
import { Refusal, refuse } from "../../errors.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { sha256Text } from "../../secrets/digest.ts";
import { instant } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { lookUpCurrentClient } from "../registration/find-current-client.ts";
import { verifyByClient } from "./client-keys.ts";

/** Seconds for which an assertion is good at most. */
const LONGEST = 300;
const SKEW = 30;

/** Where it is shown, whose own address will do there (RFC 7523 §3, RFC 9126 §2). */
export type Endpoint = "token" | "par" | "introspect" | "revoke" | "device_authorization";

/**
 * The client that signed an assertion about itself (RFC 7523 §3, private_key_jwt): `iss` = `sub` = its client_id or
 * uuid, `aud` our issuer, token endpoint or the endpoint that is called, at most five minutes, each `jti` once.
 *
 * @returns undefined when it is not right. @throws 401 invalid_client when it is good for too long or was issued too long
 *   ago, or the client's keys cannot be had; 400 client_unreachable when they do not answer just now; and what
 *   `lookUpCurrentClient` throws.
 */
export async function matchAssertion(
  oauth: Pick<Oauth, "directory" | "documents">,
  account_id: string,
  assertion: string,
  endpoint: Endpoint,
): Promise<Client | undefined> {
  const { storage } = oauth.directory;
  const now = storage.now();
  const signed = await verifyAssertion(oauth, account_id, assertion, endpoint, now);
  if (typeof signed?.payload.jti !== "string") return undefined;
  const { client, payload } = signed;
  const used = {
    account_id,
    id: `assertion ${client.id} ${sha256Text(signed.payload.jti)}`,
    expires_at: instant((endOf(payload, now) + SKEW) * 1000),
  };
  return (await storage.hot(useStatement, used)) ? client : undefined;
}

/**
 * When an assertion is over: at its `exp`, or five minutes after its `iat`, however long its client lets it live. So a
 * `jti` is kept for minutes. Seconds; `now` in milliseconds. Only whoever holds the client's key is told what is wrong.
 *
 * @throws 401 invalid_client.
 */
function endOf({ exp = 0, iat = Number.POSITIVE_INFINITY }: JWTPayload, now: number): number {
  const end = Math.min(exp, iat + LONGEST);
  const left = end - now / 1000;
  if (left > LONGEST + SKEW)
    throw refuse("invalid_client", {
      message: "client_assertion must be over within five minutes: by its exp, or five minutes after its iat.",
    });
  if (left <= -SKEW)
    throw refuse("invalid_client", { message: "client_assertion was issued more than five minutes ago." });
  return end;
}

async function verifyAssertion(
  oauth: Pick<Oauth, "directory" | "documents">,
  account_id: string,
  assertion: string,
  endpoint: Endpoint,
  now: number,
): Promise<{ readonly client: Client; readonly payload: JWTPayload } | undefined> {
  const { directory, documents } = oauth;
  const { decodeJwt } = await import("jose");
  try {
    const claimed = decodeJwt(assertion);
    const { sub } = claimed;
    if (typeof sub !== "string") return undefined;
    const known = await lookUpCurrentClient(oauth, account_id, sub);
    if (!known) return undefined;
    const issuer = issuerOf(directory.public_url, account_id);
    return await judgeClient(directory, known, async (client) => {
      if (client.settings.token_endpoint_auth_method !== "private_key_jwt") throw refuse("invalid_client");
      const verified = await verifyByClient(documents, client, assertion, {
        issuer: sub,
        subject: sub,
        audience: [issuer, `${issuer}/oauth/token`, `${issuer}/oauth/${endpoint}`],
        requiredClaims: ["exp", "jti"],
        clockTolerance: SKEW,
        currentDate: new Date(now),
      });
      if (!verified) throw refuse("invalid_client");
      return { client, payload: verified.payload };
    });
  } catch (error) {
    const code = error instanceof Refusal ? error.code : undefined;
    if (isBadJwt(error) || code === "invalid_client") return undefined;
    if (code === "upstream_login_failed") throw blame("invalid_client", error as Refusal, "The client's keys: ");
    throw error;
  }
}

import type { JWTPayload } from "jose";
import { useStatement } from "../../authentication/used-tokens.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { judgeClient } from "../../directory/judge.ts";
import { blame } from "../../egress/documents.ts";
import { Refusal, refuse } from "../../errors.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { sha256Text } from "../../secrets/digest.ts";
import { instant } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { lookUpCurrentClient } from "../registration/find-current-client.ts";
import { verifyByClient } from "./client-keys.ts";

/** An assertion lives no longer; seconds. */
const LONGEST = 300;
const SKEW = 30;

/** Where it is shown: its own address will do there, as at the token endpoint (RFC 7523 §3) and for pushed requests (RFC 9126 §2). */
export type Endpoint = "token" | "par" | "introspect" | "revoke" | "device_authorization";

/**
 * The client that signed an assertion about itself (RFC 7523 §3, private_key_jwt): `iss` = `sub` = its client_id or
 * uuid, `aud` our issuer, token endpoint or the endpoint that is called, at most five minutes, each `jti` once.
 *
 * @returns undefined when it is not right. @throws 401 invalid_client when the client's keys cannot be had; 400
 *   client_unreachable when they do not answer just now; and what `lookUpCurrentClient` throws.
 */
export async function matchAssertion(
  oauth: Pick<Oauth, "directory" | "documents">,
  account_id: string,
  assertion: string,
  endpoint: Endpoint,
): Promise<Client | undefined> {
  const { directory, documents } = oauth;
  const { decodeJwt } = await import("jose");
  try {
    const claimed = decodeJwt(assertion);
    const { sub } = claimed;
    if (typeof sub !== "string") return undefined;
    const known = await lookUpCurrentClient(oauth, account_id, sub);
    if (!known) return undefined;
    const issuer = issuerOf(directory.public_url, account_id);
    const now = directory.storage.now();
    const { client, payload } = await judgeClient(directory, known, async (client) => {
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
    return (await isFirstUse(directory, account_id, client, payload, now)) ? client : undefined;
  } catch (error) {
    const code = error instanceof Refusal ? error.code : undefined;
    if (isBadJwt(error) || code === "invalid_client") return undefined;
    if (code === "upstream_login_failed") throw blame("invalid_client", error as Refusal, "The client's keys: ");
    throw error;
  }
}

async function isFirstUse(
  { storage }: Directory,
  account_id: string,
  { id }: Client,
  { jti, exp = 0 }: JWTPayload,
  now: number,
): Promise<boolean> {
  if (typeof jti !== "string" || exp * 1000 > now + (LONGEST + SKEW) * 1000) return false;
  const used = {
    account_id,
    id: `assertion ${id} ${sha256Text(jti)}`,
    expires_at: instant((exp + SKEW) * 1000),
  };
  return storage.hot(useStatement, used);
}

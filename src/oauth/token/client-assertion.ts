import type { JWTPayload } from "jose";
import type { Federation } from "../../authentication/federation/federation.ts";
import { issuerOf } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { Refusal, refuse } from "../../errors.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { instant } from "../../storage/storage.ts";
import { verifyByClient } from "./client-keys.ts";
import { useStatement } from "./used-tokens.ts";

/** An assertion lives no longer; seconds. */
const LONGEST = 300;
const SKEW = 30;

/**
 * The client that signed an assertion about itself (RFC 7523 §3, private_key_jwt): `iss` = `sub` = client_id, `aud` our issuer or
 * token endpoint, at most five minutes, each `jti` once.
 *
 * @returns undefined when it is not right. @throws 401 invalid_client when the client's keys cannot be had.
 */
export async function matchAssertion(
  directory: Directory,
  federation: Federation,
  account_id: string,
  assertion: string,
): Promise<Client | undefined> {
  const { decodeJwt } = await import("jose");
  try {
    const claimed = decodeJwt(assertion);
    const client = typeof claimed.sub === "string" ? await lookUpClient(directory, account_id, claimed.sub) : undefined;
    if (client?.settings.token_endpoint_auth_method !== "private_key_jwt") return undefined;
    const issuer = issuerOf(directory.public_url, account_id);
    const now = directory.storage.now();
    const verified = await verifyByClient(federation, client, assertion, {
      issuer: client.client_id,
      subject: client.client_id,
      audience: [issuer, `${issuer}/oauth/token`],
      requiredClaims: ["exp", "jti"],
      clockTolerance: SKEW,
      currentDate: new Date(now),
    });
    if (!verified) return undefined;
    return (await isFirstUse(directory, account_id, client, verified.payload, now)) ? client : undefined;
  } catch (error) {
    if (isBadJwt(error)) return undefined;
    if (error instanceof Refusal && error.code === "upstream_login_failed")
      throw refuse("invalid_client", { message: `The client's keys: ${error.message}`, cause: error });
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
  if (exp * 1000 > now + (LONGEST + SKEW) * 1000) return false;
  const used = {
    account_id,
    id: `assertion ${id} ${String(jti).slice(0, 200)}`,
    expires_at: instant((exp + SKEW) * 1000),
  };
  return storage.hot(useStatement, used);
}

import type { Client } from "../../directory/clients/client.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { type AuthorizationCode, sealAuthorizationCode } from "../authorization-code.ts";
import type { Oauth } from "../oauth.ts";
import { type DeviceRequest, deviceDigest, INTERVAL } from "./device-code.ts";
import { selectByDigest, updatePolled } from "./store.ts";

/**
 * A device asks whether it may (RFC 8628 §3.4).
 *
 * @returns the authorization code that it has earned.
 * @throws 400 authorization_pending, slow_down, expired_token, invalid_grant, device_denied.
 */
export async function pollDevice({ directory }: Oauth, client: Client, device_code: Secret): Promise<Secret> {
  const { storage, master_keys } = directory;
  const request = await selectByDigest(storage.read, client.account_id, deviceDigest(device_code));
  if (request?.client_id !== client.id) throw refuse("invalid_grant", { message: "The device code is not valid." });
  const now = storage.now();
  if (request.state === "denied") throw refuse("device_denied");
  // What was allowed in the last seconds has a time of its own.
  const earned = request.answer === null ? undefined : (JSON.parse(request.answer) as AuthorizationCode);
  const ends = earned?.expires_at ?? Date.parse(request.expires_at);
  if (ends <= now) throw refuse("expired_token");
  if (earned) return sealAuthorizationCode(master_keys, client.account_id, earned);
  const hasty = isHasty(request, now);
  const next = request.poll_interval + (hasty ? INTERVAL : 0);
  await storage.write((tx) => updatePolled(tx.db, request, instant(now), next));
  throw refuse(hasty ? "slow_down" : "authorization_pending");
}

/** A second of grace: clocks and networks are not exact. */
const isHasty = ({ polled_at, poll_interval }: DeviceRequest, now: number) =>
  polled_at !== null && now - Date.parse(polled_at) < poll_interval - 1_000;

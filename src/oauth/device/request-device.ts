import { randomUUID } from "node:crypto";
import { issuerOf } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { DEVICE_CODE } from "../../directory/clients/settings.ts";
import { judgeClient } from "../../directory/judge.ts";
import { refuse } from "../../errors.ts";
import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import type { Oauth } from "../oauth.ts";
import { spaceSeparated } from "../space-separated.ts";
import { type Target, targetOf } from "../target.ts";
import {
  DEVICE_CODE_LIFETIME,
  type DeviceParameters,
  deviceDigest,
  INTERVAL,
  newDeviceCode,
  newUserCode,
  userCodeDigests,
} from "./device-code.ts";
import { insertDeviceRequest } from "./store.ts";

export interface DeviceCodes {
  readonly device_code: Secret;
  readonly user_code: string;
  readonly verification_uri: string;
  readonly verification_uri_complete: string;
  /** Seconds. */
  readonly expires_in: number;
  readonly interval: number;
}

export interface DeviceAsks {
  readonly scope?: string | undefined;
  readonly audience?: string | undefined;
  readonly resource?: string | undefined;
}

/**
 * RFC 8628 §3.1: two codes for one request of a device.
 *
 * @throws 400 unauthorized_client, invalid_scope, invalid_target.
 */
export async function requestDevice({ directory }: Oauth, client: Client, asks: DeviceAsks): Promise<DeviceCodes> {
  const { account_id } = client;
  const asked = [...new Set(spaceSeparated(asks.scope))];
  const target = await judgeClient(directory, client, (current) => {
    if (!current.settings.grant_types.includes(DEVICE_CODE))
      throw refuse("unauthorized_client", { message: "The client may not use device codes." });
    return targetOf(directory, current, asks, asked);
  });
  const { storage, master_keys, public_url } = directory;
  const id = randomUUID();
  const verification_uri = `${issuerOf(public_url, account_id)}/device`;
  const parameters = { ...parametersOf(target, asked), redirect_uri: verification_uri, device: id };
  const device_code = newDeviceCode();
  const now = storage.now();
  const times = { created_at: instant(now), expires_at: instant(now + DEVICE_CODE_LIFETIME) };
  const waiting = { state: "pending", answer: null, poll_interval: INTERVAL, polled_at: null } as const;
  for (;;) {
    const user_code = newUserCode();
    const [newest] = userCodeDigests(master_keys, account_id, user_code);
    if (!newest) throw new Error("there is no master key");
    const digests = { digest: deviceDigest(device_code), user_code_digest: newest };
    const row = { account_id, id, client_id: client.id, parameters, ...waiting, ...times, ...digests };
    if (!(await storage.write((tx) => insertDeviceRequest(tx.db, row)))) continue;
    const verification_uri_complete = `${verification_uri}?user_code=${user_code}`;
    const seconds = { expires_in: DEVICE_CODE_LIFETIME / 1000, interval: INTERVAL / 1000 };
    return { device_code, user_code, verification_uri, verification_uri_complete, ...seconds };
  }
}

const parametersOf = (target: Target, asked: readonly string[]): Omit<DeviceParameters, "redirect_uri" | "device"> => ({
  ...target,
  redirect_uri_named: false,
  response_mode: "query",
  openid: asked.includes("openid"),
  prompt: [],
  ui_locales: [],
  two_factors: false,
});

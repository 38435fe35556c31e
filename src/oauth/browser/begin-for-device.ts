import { findAccount } from "../../directory/accounts/find-account.ts";
import { findClient } from "../../directory/clients/find-client.ts";
import type { DeviceRequest } from "../device/device-code.ts";
import type { Oauth } from "../oauth.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { storeRequest } from "./begin.ts";

/** The browser in which a device's code was typed goes on with what the device asked for. */
export async function beginForDevice(
  oauth: Oauth,
  { account_id, client_id, parameters }: DeviceRequest,
  browser: Uint8Array,
): Promise<AuthorizationRequest> {
  const account = await findAccount(oauth.directory, account_id);
  const client = await findClient(oauth.directory, account_id, client_id);
  return storeRequest(oauth, { account, client, parameters }, "browser", browser);
}

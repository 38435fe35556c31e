import { refuseField } from "../../errors.ts";
import { isFetchable } from "../clients/callback.ts";
import type { AccountSettings } from "./settings.ts";

/** With keys that can never be fetched none of the account's own users could log in. @throws 400 invalid_request. */
export function checkJwks({ jwks }: Partial<AccountSettings>): void {
  if (jwks && !isFetchable(jwks.uri))
    throw refuseField("jwks.uri", "https", "must be https, or http on a loopback address");
}

import { type Fault, refuseField } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { isUuidInAnyCase, smallUuid } from "../../secrets/uuid.ts";
import { originFaults } from "./allowed-origins.ts";
import { callbackFaults, isFetchable, loginUriFault } from "./callback.ts";
import { isPublic } from "./client.ts";
import { sectorAddressFaults, sectorFaults } from "./sector.ts";
import type { ClientSettings } from "./settings.ts";
import { encode } from "./store.ts";

/** Whether it is a uuid as this server writes them, in lower case. */
export const isUuid = (text: string): boolean => isUuidInAnyCase(text) && text === smallUuid(text);

/** A name that somebody chose. @throws 400 invalid_request. */
export function checkClientId(client_id: string): void {
  if (!/^[A-Za-z0-9._~-]{1,64}$/.test(client_id)) {
    throw refuseField("client_id", "pattern", "takes 1 to 64 letters, digits and . _ ~ -");
  }
  if (isUuidInAnyCase(client_id)) throw refuseField("client_id", "pattern", "must not have the form of a uuid");
}

/** Addresses that we ask: https; what may be asked at all, the one client for outgoing requests says. */
function addressFaults(settings: Partial<ClientSettings>): Fault[] {
  return (["jwks_uri", "backchannel_logout_uri"] as const).flatMap((path) => {
    const address = settings[path] ?? null;
    if (address === null || (isFetchable(address) && !address.includes("#"))) return [];
    return [{ path, code: "https", message: "must be https, without a user name or fragment" }];
  });
}

/** So many public keys, more than whoever changes them needs at a time. */
const MOST_KEYS = 20;

function keyPlaceFaults({ jwks, jwks_uri }: Partial<ClientSettings>): Fault[] {
  if (!jwks || !jwks_uri) return [];
  return [{ path: "jwks_uri", code: "jwks", message: "takes the place of jwks, which must be null (RFC 7591 §2)" }];
}

function keyFaults({ jwks }: Partial<ClientSettings>): Fault[] {
  if (!jwks) return [];
  const path = "jwks";
  if (!Array.isArray(jwks.keys)) return [{ path, code: "jwks", message: "must be a set of keys (RFC 7517 §5)" }];
  if (jwks.keys.length <= MOST_KEYS) return [];
  return [{ path, code: "too_many", message: `may hold ${MOST_KEYS} keys` }];
}

/** One that becomes public later rotates them, whatever this says. */
function rotationFaults(settings: Partial<ClientSettings>, together: Partial<ClientSettings>): Fault[] {
  if (settings.rotate_refresh_tokens !== false || !isPublic(together)) return [];
  const message = "must be true for a public client (RFC 9700 §2.2.2)";
  return [{ path: "rotate_refresh_tokens", code: "public", message }];
}

/** Characters of all that is set: whoever looks a client up holds all of it, and strangers may. */
const LONGEST = 100_000;

const lengthOf = (settings: Partial<ClientSettings>) => encode(settings).length;

/**
 * @param before What is set, which may be more than that from earlier.
 * @throws 400 invalid_request when a client may not have it with this change, told of the longest that it brings.
 */
export function checkSettingsLength(change: Partial<ClientSettings>, before: Partial<ClientSettings> = {}): void {
  const length = lengthOf({ ...before, ...change });
  if (length <= LONGEST || length <= lengthOf(before)) return;
  const names = Object.keys(change) as (keyof ClientSettings)[];
  const ofOne = (name: keyof ClientSettings) => lengthOf({ [name]: change[name] });
  const longest = names.toSorted((a, b) => ofOne(b) - ofOne(a))[0] ?? "callbacks";
  const told = LONGEST.toLocaleString("en");
  const message = `is too long: all settings of a client may have ${told} characters together`;
  throw malformed([{ path: longest, code: "too_many", message }]);
}

/**
 * What a schema cannot say about a client's settings. `beside`: what the client has already and they are judged
 * together with; it is not judged by itself. @throws 400 invalid_request with every fault.
 */
export function checkClientSettings(settings: Partial<ClientSettings>, beside: Partial<ClientSettings> = {}): void {
  const { callbacks = [], post_logout_redirect_uris = [], allowed_origins = [] } = settings;
  const together = { ...beside, ...settings };
  const faults = [
    ...callbackFaults(callbacks),
    ...callbackFaults(post_logout_redirect_uris, "post_logout_redirect_uris"),
    ...addressFaults(settings),
    ...keyFaults(settings),
    ...keyPlaceFaults(together),
    ...rotationFaults(settings, together),
    ...loginUriFault(together.login_uri ?? null, together.callbacks ?? []),
    ...sectorAddressFaults(settings),
    ...sectorFaults(together),
    ...originFaults(allowed_origins),
  ];
  if (faults.length > 0) throw malformed(faults);
}

import type { Fault } from "../../errors.ts";
import { isFetchable, isLoopback } from "./callback.ts";
import type { Client } from "./client.ts";
import { callbackHost } from "./home.ts";
import { type ClientSettings, DEVICE_CODE } from "./settings.ts";

type Settings = Partial<Pick<ClientSettings, "subject_type" | "sector_identifier_uri" | "callbacks">>;

/**
 * The sector whose people have a `sub` of their own (OpenID Connect Core §8.1); undefined where everybody's is public.
 * An app has no host of its own: its private scheme stands for it, and behind a loopback address is nobody but the
 * client. One that the account did not make, and that hears of people otherwise than at a host, has proved none.
 * What is no address names none: it is refused where settings are judged.
 */
export function sectorOf({ id, origin, settings }: Pick<Client, "id" | "origin" | "settings">): string | undefined {
  if (settings.subject_type !== "pairwise") return undefined;
  const { sector_identifier_uri, callbacks } = settings;
  if (origin !== "account" && !isAtHosts(settings)) return id;
  if (sector_identifier_uri !== null && URL.canParse(sector_identifier_uri)) return new URL(sector_identifier_uri).host;
  const [callback] = callbacks.filter((text) => URL.canParse(text));
  return callback && (isLoopback(new URL(callback)) ? id : callbackHost(callback));
}

/**
 * Whether whoever hears how it knows people, by tokens or when they log out, holds a host of its callbacks: an app's scheme
 * is anybody's, and so is a device.
 */
const isAtHosts = ({ callbacks, grant_types, backchannel_logout_uri: told }: ClientSettings): boolean =>
  !grant_types.includes(DEVICE_CODE) &&
  callbacks.every((callback) => /^https:/i.test(callback)) &&
  hostsOf([told ?? ""]).every((host) => hostsOf(callbacks).includes(host));

const hostsOf = (callbacks: readonly string[]): string[] => [
  ...new Set(callbacks.filter((callback) => URL.canParse(callback)).map(callbackHost)),
];

const path = "sector_identifier_uri";

export function sectorAddressFaults({ sector_identifier_uri = null }: Settings): Fault[] {
  if (sector_identifier_uri === null || isFetchable(sector_identifier_uri)) return [];
  return [{ path, code: "https", message: "must be https" }];
}

/** Callbacks on several hosts share a sector only where a document says so. */
export function sectorFaults({ subject_type, sector_identifier_uri = null, callbacks = [] }: Settings): Fault[] {
  if (sector_identifier_uri !== null || subject_type !== "pairwise" || hostsOf(callbacks).length === 1) return [];
  return [{ path, code: "required", message: "is required for pairwise subjects unless every callback has one host" }];
}

/**
 * Clients that the account did not make itself: those that register (RFC 7591) and look after themselves later (RFC
 * 7592), and those whose client_id is the address of a document that describes them, so that an agent nobody has heard
 * of can still ask somebody to log in.
 *
 * In: client metadata. Out: a client like any other, whose `origin` says where it came from: it may ask people for what the
 * account's public_client_grants allow, always with consent, and it goes when nobody uses it for a month; one of a stranger
 * earlier, where the account is full of them (`directory/clients/untried.ts`).
 */
import { sha256 } from "../../secrets/digest.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import type { Instant } from "../../storage/storage.ts";

export interface Registration {
  readonly account_id: string;
  /** The client's uuid. */
  readonly client_id: string;
  /** Of the registration access token; a document needs none. */
  readonly token_digest: Uint8Array | null;
  /** When the document is asked for again. */
  readonly fresh_until: Instant | null;
  readonly used_at: Instant;
  readonly expires_at: Instant;
}

/** So often use is noted; milliseconds. */
export const NOTED_EVERY = 1_800_000;

/** A client is kept so long after its use was noted, and so for thirty days after it was last used; milliseconds. */
export const KEPT = 30 * 86_400_000 + NOTED_EVERY;

/** Who made a client that was registered without an initial access token. */
export const NOBODY = "open-registration";

/** With this scope a client hands out initial access tokens. */
export const REGISTER_SCOPE = "create:accounts:/oauth/register";

export const tokenDigest = (token: Secret): Uint8Array => sha256(reveal(token));

/**
 * The protocol endpoints: where proofs of who somebody is become tokens. This wing alone knows both sides; every
 * endpoint is a room with a conductor. Rooms stand in an order, which `.dependency-cruiser.cjs` lists: one imports only
 * those before it.
 */
import type { Authentication } from "../authentication/authentication.ts";
import type { Documents } from "../egress/documents.ts";
import type { Tokens } from "../tokens/tokens.ts";

/** What the endpoints need; `start-server.ts` opens it. */
export interface Oauth extends Authentication {
  readonly tokens: Tokens;
  /** What other servers publish: providers, and clients. */
  readonly documents: Documents;
}

import type { JSONWebKeySet } from "jose";
import { type Federation, fetchDocument, PATIENCE } from "../../authentication/federation/federation.ts";
import type { Client } from "../../directory/clients/client.ts";

/** What clients may sign with: nothing that a shared secret could forge. */
export const asymmetric_algs = ["RS256", "PS256", "ES256", "ES384", "EdDSA", "Ed25519"];

/** The client's public keys, as they are registered or lie at its address. */
export async function clientKeys(federation: Federation, { settings }: Client): Promise<JSONWebKeySet | undefined> {
  if (settings.jwks) return settings.jwks as unknown as JSONWebKeySet;
  if (settings.jwks_uri === null) return undefined;
  const document = await fetchDocument(federation, settings.jwks_uri, AbortSignal.timeout(PATIENCE));
  return document as unknown as JSONWebKeySet;
}

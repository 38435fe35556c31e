import { reveal, Secret, secret } from "../secrets/secret.ts";

/** Tokens and codes may come as what they are: their alphabet needs no encoding. */
export type Parameters = readonly (readonly [name: string, value: string | Secret | undefined])[];

const UNRESERVED = /^[A-Za-z0-9._~-]*$/;

/** Percent-encodes as RFC 3986 asks, so that every byte survives every decoder (a space is %20, never +). */
function encode(parameters: Parameters): string {
  return parameters
    .filter((pair): pair is readonly [string, string | Secret] => pair[1] !== undefined)
    .map(([name, value]) => `${encodeValue(name)}=${value instanceof Secret ? reveal(value) : encodeValue(value)}`)
    .join("&");
}

function encodeValue(value: string): string {
  return UNRESERVED.test(value) ? value : encodeURIComponent(value);
}

/** A query that the address has is kept as it is. */
export function addToQuery(redirect_uri: string, parameters: Parameters): Secret {
  const added = encode(parameters);
  if (added === "") return secret(redirect_uri);
  const separator = redirect_uri.includes("?") ? (/[?&]$/.test(redirect_uri) ? "" : "&") : "?";
  return secret(`${redirect_uri}${separator}${added}`);
}

export function addAsFragment(redirect_uri: string, parameters: Parameters): Secret {
  return secret(`${redirect_uri}#${encode(parameters)}`);
}

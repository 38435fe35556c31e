/**
 * Compact JWS (RFC 7515 §7.1) on node:crypto: the hot path's own signing and checking, in one small file that the tests
 * hold against `jose`. ES256 and EdDSA are quick enough to sign in place, RS256 would stall the event loop and goes
 * through the thread pool.
 */
import { type KeyObject, sign, verify } from "node:crypto";
import { LONGEST_TOKEN } from "../secrets/longest-token.ts";
import { type Secret, secret } from "../secrets/secret.ts";
import type { SigningAlg } from "../secrets/signing-alg.ts";

export interface JwsKey {
  readonly alg: SigningAlg;
  readonly kid: string;
  readonly private_key: KeyObject;
}

const encode = (value: object) => Buffer.from(JSON.stringify(value), "utf8").toString("base64url");

/** Signs `claims` under the protected header `{ alg, typ, kid }`. */
export async function signJws(key: JwsKey, typ: string, claims: object): Promise<Secret> {
  const input = `${headerOf(key, typ)}.${encode(claims)}`;
  const signature = await signatureOf(key, Buffer.from(input, "latin1"));
  return secret(`${input}.${signature.toString("base64url")}`);
}

/** Few keys sign many tokens: by key, and then by type. */
const headers = new WeakMap<KeyObject, Record<string, string>>();

function headerOf({ alg, kid, private_key }: JwsKey, typ: string): string {
  const known = headers.get(private_key) ?? {};
  headers.set(private_key, known);
  known[typ] ??= encode({ alg, typ, kid });
  return known[typ];
}

async function signatureOf({ alg, private_key }: JwsKey, input: Buffer): Promise<Buffer> {
  switch (alg) {
    case "ES256":
      return sign("sha256", input, { key: private_key, dsaEncoding: "ieee-p1363" });
    case "EdDSA":
      return sign(null, input, private_key);
    case "RS256":
      return new Promise((resolve, reject) => {
        sign("sha256", input, private_key, (error, signature) => (error ? reject(error) : resolve(signature)));
      });
  }
}

export interface JwsHeader {
  readonly alg: string;
  readonly kid: string;
  readonly typ: string;
}

export interface ParsedJws {
  readonly header: JwsHeader;
  readonly claims: Readonly<Record<string, unknown>>;
  readonly input: string;
  readonly signature: Buffer;
}

const FORM = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/;

/** Reads a compact JWS without believing it. @returns undefined when it is none, or has a header we never write. */
export function parseJws(token: string): ParsedJws | undefined {
  if (token.length > LONGEST_TOKEN || !FORM.test(token)) return undefined;
  const end = token.lastIndexOf(".");
  const [protectedHeader = "", payload = ""] = token.slice(0, end).split(".");
  const header = decode(protectedHeader);
  const claims = decode(payload);
  const signature = Buffer.from(token.slice(end + 1), "base64url");
  if (!header || !claims || signature.toString("base64url") !== token.slice(end + 1)) return undefined;
  const { alg, kid, typ, crit, b64 } = header;
  if (typeof alg !== "string" || typeof kid !== "string" || typeof typ !== "string") return undefined;
  if (crit !== undefined || b64 !== undefined) return undefined;
  return { header: { alg, kid, typ }, claims, input: token.slice(0, end), signature };
}

function decode(part: string): Record<string, unknown> | undefined {
  const bytes = Buffer.from(part, "base64url");
  if (bytes.toString("base64url") !== part) return undefined;
  try {
    const value: unknown = JSON.parse(bytes.toString("utf8"));
    return typeof value === "object" && value !== null && !Array.isArray(value)
      ? (value as Record<string, unknown>)
      : undefined;
  } catch {
    return undefined;
  }
}

/** Whether the signature is this key's; the algorithm is the key's own, never the header's (RFC 8725 §3.1). */
export function verifyJws(public_key: KeyObject, alg: SigningAlg, { header, input, signature }: ParsedJws): boolean {
  if (header.alg !== alg) return false;
  const bytes = Buffer.from(input, "latin1");
  switch (alg) {
    case "ES256":
      return (
        signature.length === 64 && verify("sha256", bytes, { key: public_key, dsaEncoding: "ieee-p1363" }, signature)
      );
    case "EdDSA":
      return verify(null, bytes, public_key, signature);
    case "RS256":
      return verify("sha256", bytes, public_key, signature);
  }
}

/** Somebody else's OpenID provider without people or pages: for a code its ID token says what the test has it say. */
import { exportJWK, generateKeyPair, SignJWT } from "jose";
import { openReceiver, type Receiver } from "./receiver.ts";

export interface MadeUpProvider {
  readonly issuer: string;
  close(): Promise<void>;
}

type Claims = Readonly<Record<string, unknown>>;

/** `claimsFor` a request to its token endpoint; undefined refuses it. */
export async function openMadeUpProvider(
  claimsFor: (form: URLSearchParams) => Claims | undefined | Promise<Claims | undefined>,
): Promise<MadeUpProvider> {
  const { publicKey, privateKey } = await generateKeyPair("ES256");
  const jwk = { ...(await exportJWK(publicKey)), kid: "1", alg: "ES256", use: "sig" };
  const receiver: Receiver = await openReceiver(async ({ path, body }) => {
    const issuer = receiver.url;
    const named = { authorization_endpoint: `${issuer}/authorize`, token_endpoint: `${issuer}/token` };
    if (path.endsWith("/openid-configuration"))
      return [200, JSON.stringify({ issuer, ...named, jwks_uri: `${issuer}/jwks` })];
    if (path.endsWith("/jwks")) return [200, JSON.stringify({ keys: [jwk] })];
    const claims = await claimsFor(new URLSearchParams(body));
    if (claims === undefined) return [400, JSON.stringify({ error: "invalid_grant" })];
    const jwt = new SignJWT({ ...claims }).setProtectedHeader({ alg: "ES256", kid: "1" }).setIssuer(issuer);
    const id_token = await jwt.setAudience("latchkey").setIssuedAt().setExpirationTime("5m").sign(privateKey);
    return [200, JSON.stringify({ id_token, access_token: "x", token_type: "Bearer" })];
  });
  return { issuer: receiver.url, close: receiver.close };
}

/** JWS algorithms that Latchkey signs with (RFC 7518 §3.1, RFC 8037 §3.1). */
export const signing_algs = ["ES256", "RS256", "EdDSA"] as const;

export type SigningAlg = (typeof signing_algs)[number];

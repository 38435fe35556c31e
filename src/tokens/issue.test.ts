import { createHash } from "node:crypto";
import { expect, it } from "vitest";
import { reveal, secret } from "../secrets/secret.ts";
import { accessTokenHash } from "./issue.ts";

it("an access token is named in an ID token by the left half of its hash", () => {
  const access_token = secret("jHkWEdUXMU1BwAsC4vtUsZwnNvTIxEl0z9K3vx5KF0Y");
  // OpenID Connect Core, appendix A.4.
  for (const alg of ["RS256", "ES256"] as const)
    expect(accessTokenHash(access_token, alg), alg).toBe("77QmUPtjPfzWtF2AnpK9RQ");
  const half = createHash("sha512").update(reveal(access_token)).digest().subarray(0, 32);
  expect(accessTokenHash(access_token, "EdDSA")).toBe(half.toString("base64url"));
});

import { expect, it } from "vitest";
import { refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import { checkBearer } from "./bearer.ts";
import { challengeOf } from "./challenge.ts";
import { bearerToken } from "./find-token.ts";

it("a token is read out of a header in one of two schemes, and challenged where it is not", () => {
  for (const header of ["Bearer a.b.c", "bearer  a.b.c ", "DPoP a.b.c"]) expect(bearerToken(header)).toBe("a.b.c");
  expect(bearerToken("Bearer aZ0._~+/-==")).toBe("aZ0._~+/-==");
  const challenged = (header: string | undefined, challenge: string) =>
    expect(() => bearerToken(header), header).toThrow(
      expect.objectContaining({
        code: "invalid_token",
        options: expect.objectContaining({ headers: { "www-authenticate": challenge } }),
      }),
    );
  challenged(undefined, 'Bearer realm="latchkey"');
  for (const header of ["", "Bearer", "Bearer ", "Bearera.b.c", "xBearer a", "Bearer a b", "Bearer a=b", "Basic YTpi"])
    challenged(header, expect.stringMatching(/^Bearer realm="latchkey", error="invalid_token", error_description=/));
});

it("a refusal is challenged for what is not good, and for nothing else", () => {
  const cause = new Error("nobody answers");
  const of = (refusal: Parameters<typeof refuse>) => {
    const { code, options } = challengeOf(refuse(...refusal));
    return [code, options.headers?.["www-authenticate"]];
  };
  expect(of(["insufficient_scope"])).toEqual(["insufficient_scope", undefined]);
  for (const code of ["invalid_dpop_proof", "use_dpop_nonce"] as const)
    expect(of([code])).toEqual(["invalid_token", `DPoP realm="latchkey", error="${code}"`]);
  const nonce = challengeOf(refuse("use_dpop_nonce", { headers: { "dpop-nonce": "n" } }));
  expect(nonce.options.headers).toMatchObject({ "dpop-nonce": "n" });
  const upstream = challengeOf(refuse("upstream_login_failed", { momentary: true, cause }));
  expect([upstream.code, upstream.options.retry_after]).toEqual(["temporarily_unavailable", 1]);
  expect(challengeOf(refuse("upstream_login_failed", { bare: "It has ended." }))).toMatchObject({
    code: "invalid_token",
    message: "It has ended.",
    options: { headers: { "www-authenticate": expect.stringContaining('error_description="It has ended."') } },
  });
  expect(challengeOf(refuse("upstream_login_failed", { message: "Not so." })).message).toBe("Not so.");
});

it("a bearer may do what its kind and one of its scopes allow", () => {
  const bearer = { subject_type: "client", scope: ["a", "b"] } as unknown as Bearer;
  const refusal = (contract: Parameters<typeof checkBearer>[1]) => {
    try {
      return checkBearer(bearer, contract);
    } catch (error) {
      const { code, message, options } = error as ReturnType<typeof refuse>;
      return { code, message, scopes: options.scopes };
    }
  };
  expect(refusal({})).toBeUndefined();
  expect(refusal({ scopes: ["x", "b"], subject_types: ["user", "client"] })).toBeUndefined();
  expect(refusal({ scopes: ["x", "y"] })).toEqual({
    code: "insufficient_scope",
    message: "The access token needs one of these scopes: x y.",
    scopes: ["x", "y"],
  });
  expect(refusal({ subject_types: ["user"] })).toEqual({
    code: "insufficient_scope",
    message: "This operation takes a user's token.",
    scopes: undefined,
  });
  expect(refusal({ subject_types: ["user"], foreign_subject: "invalid_token" })).toMatchObject({
    code: "invalid_token",
  });
});

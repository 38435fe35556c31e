import { describe, expect, it } from "vitest";
import { masterKeys } from "../secrets/master-keys.ts";
import { reveal } from "../secrets/secret.ts";
import { openTicket } from "../secrets/ticket.ts";
import { mintAuthorizationCode, readAuthorizationCode } from "./authorization-code.ts";

const keys = masterKeys([Buffer.alloc(32, 1)]);
const account_id = "T11200001";
const NOW = 1_700_000_000_000;

const contentFor = (scope: readonly string[]) => ({
  authorization: {
    sid: "c2d43f13-46e5-4e34-a301-4c1d58c0d9ec",
    subject: {
      ...{ type: "user" as const, id: "0190f3a4-8f5e-7bd2-a8f0-4b3b8f3f8f3f", email: "ada@example.com", name: "Ada" },
      ...{ email_verified: true, auth_time: NOW / 1000, amr: ["otp"], acr: "urn:example:one" },
    },
    client_id: "0190f3a4-8f5e-7bd2-a8f0-000000000001",
    client_uuid: "0190f3a4-8f5e-7bd2-a8f0-000000000001",
    grant_id: "0190f3a4-8f5e-7bd2-a8f0-000000000002",
    audience: "https://api.shop.example",
    scope,
    id_token_alg: "RS256" as const,
  },
  redirect_uri: "https://shop.example/callback",
  redirect_uri_named: true,
  code_challenge: "E9Melhoa2OwvFrEMTJguCHaoeK1t8URWbuGJSstw-cM",
  openid: true,
});

const mint = (scope: readonly string[]) => mintAuthorizationCode(keys, account_id, contentFor(scope), NOW);
const read = (code: ReturnType<typeof mint>) => readAuthorizationCode(keys, account_id, code);
/** As the version before reads it. */
const readBefore = (code: ReturnType<typeof mint>) =>
  openTicket(keys, { account_id, purpose: "authorization-code", kind: "authorization_code/v1" }, code);

describe("an authorization code", () => {
  it("fits into an address, however many scopes it stands for, and stands for all of them", () => {
    const scope = Array.from({ length: 200 }, (_, n) => `write:warehouse-${n % 7}:/orders/shelves/number-${n}`);
    expect(scope.join(" ").length).toBeGreaterThan(8_000);
    const code = mint(scope);
    expect(reveal(code).length).toBeLessThan(3_000);
    expect(read(code)).toMatchObject(contentFor(scope));
    expect(readBefore(code), "to the version before it is none").toBeUndefined();
  });

  it("fits also with as many as are not packed", () => {
    const scope = Array.from({ length: 200 }, (_, n) => `${n}`.padStart(4, "0").padEnd(14, "-"));
    scope[199] = "last:of:them!";
    expect(scope.join(" ")).toHaveLength(2_998);
    const code = mint([...scope]);
    expect(readBefore(code), "packed it is none to the version before").toMatchObject(contentFor(scope));
    const shown = new URLSearchParams({
      code: reveal(code),
      state: "s".repeat(64),
      iss: "https://login.example/v1/accounts/T1",
    });
    expect(`GET /callback?${shown} HTTP/1.1\r\n`.length).toBeLessThan(8_192 - 2_000);
    expect(
      reveal(mint(["of:forty:characters:each".padEnd(40, "-"), ...Array(120).fill("-".repeat(40))])).length,
    ).toBeLessThan(5_000);
  });

  it.each([0, 1, 20])("of %i scopes is read by the version before, too", (count) => {
    const scope = Array.from({ length: count }, (_, n) => `orders:read:${n}`);
    const code = mint(scope);
    expect(readBefore(code)).toMatchObject(contentFor(scope));
    expect(read(code)).toMatchObject(contentFor(scope));
  });
});

/**
 * The rows of NIST SP 800-63B-4 about codes, messages and sessions that no other test has as its subject;
 * docs/security-tests.md lists all.
 */
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { deriveCode, formatBytes } from "../../src/authentication/codes/code.ts";
import { readConfig } from "../../src/config.ts";
import { reveal } from "../../src/secrets/secret.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  askForCode,
  authorize,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  MASTER_KEY,
  mintCode,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { token } from "../support/people.ts";
import { answered, openScene, type Scene } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";
import { test_keys, wrongGuesses } from "../support/verification.ts";

/** How far counts are from all being equal (Pearson). */
function chiSquare(counts: readonly number[]): number {
  const expected = counts.reduce((sum, count) => sum + count, 0) / counts.length;
  return counts.reduce((sum, count) => sum + (count - expected) ** 2 / expected, 0);
}

describe("NIST SP 800-63B-4 about the code itself", () => {
  const CODES = 100_000;
  /** Of 10,000 sources of chance, one is further off: quantiles of chi-square with 9 and 999 degrees of freedom. */
  const TENS = 33.7;
  const THOUSANDS = 1_180;

  it("N1 makes six digits of which every number is equally likely, leading zeros included", () => {
    const challenge = { account_id: "T00000001", key_version: test_keys.current, counter: 0, length: 6 };
    const challenge_id = Buffer.alloc(16);
    const digits = Array.from({ length: 6 }, () => new Array<number>(10).fill(0));
    const [first, last] = [new Array<number>(1_000).fill(0), new Array<number>(1_000).fill(0)];
    const add = (counts: number[] = [], at: number) => counts.splice(at, 1, (counts[at] ?? 0) + 1);
    for (let n = 0; n < CODES; n++) {
      challenge_id.writeUInt32BE(n);
      const code = deriveCode(test_keys, { ...challenge, challenge_id, format: "numeric" });
      const text = code ? reveal(code) : "";
      expect(text.length === 6 && /^\d+$/.test(text), text).toBe(true);
      for (const [place, digit] of [...text].entries()) add(digits[place], Number(digit));
      add(first, Number(text.slice(0, 3)));
      add(last, Number(text.slice(3)));
    }
    for (const [place, counts] of digits.entries()) expect(chiSquare(counts), `place ${place}`).toBeLessThan(TENS);
    expect(chiSquare(first)).toBeLessThan(THOUSANDS);
    expect(chiSquare(last)).toBeLessThan(THOUSANDS);
    const ofWord = (word: number) => {
      const bytes = Buffer.alloc(32);
      bytes.writeUInt32BE(word);
      return formatBytes(bytes, "numeric", 6);
    };
    expect([ofWord(0), ofWord(42), ofWord(999_999)]).toEqual(["000000", "000042", "999999"]);
  });
});

describeOnBothEngines("NIST SP 800-63B-4", (engine) => {
  let latchkey: Latchkey;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
  });
  afterAll(() => latchkey.close());

  const numericTenant = (settings = {}) => createTenant(latchkey, { client: { code_format: "numeric" }, settings });
  const guess = (tenant: Tenant, verification_code: string) =>
    authorize(tenant, { verification_code, ident_type: "user_id", ident: tenant.user.id });
  const mintNumeric = (tenant: Tenant) => mintCode(tenant, { format: "numeric" });

  /** Wrong codes, none twice, until none is compared any more. */
  async function guessUntilClosed(tenant: Tenant, guesses: Iterator<string>) {
    for (let compared = 0; ; compared++) {
      const { status, headers } = await guess(tenant, String(guesses.next().value));
      if (status === 429) return { compared, retry_after: Number(headers.get("retry-after")) };
      expect(status).toBe(400);
      if (compared > 200) throw new Error("guessing never ends");
    }
  }

  it("N2 takes a code for ten minutes and no longer, whatever is set", async () => {
    const tenant = await createTenant(latchkey);
    const set = async (code_lifetime: number) =>
      (await call(`${tenant.base}/auth/settings`, { method: "PATCH", token: tenant.token, json: { code_lifetime } }))
        .status;
    expect([await set(601), await set(86_400), await set(600)]).toEqual([400, 400, 200]);
    for (const [seconds, expected] of [
      [9 * 60, "302"],
      [601, "400 verification_code_expired"],
    ] as const) {
      const sent = await createTenant(latchkey);
      const verification_code = await receiveCode(sent);
      await letPass(latchkey, "verification_codes", sent.account_id, seconds);
      const { status, body } = await authorize(sent, { verification_code });
      expect([status, body?.error?.code].filter(Boolean).join(" "), `${seconds} s`).toBe(expected);
    }
  });

  it("N4 lets a patient guesser try fifty codes of a person in all, over any number of windows", async () => {
    const tenant = await numericTenant();
    const guesses = wrongGuesses("", 500).values();
    let compared = 0;
    for (let round = 0; round < 9; round++) {
      compared += (await guessUntilClosed(tenant, guesses)).compared;
      await letPass(latchkey, "budgets", tenant.account_id, 25 * 3_600);
    }
    expect(compared).toBe(50);
    const right = await mintNumeric(tenant);
    expect((await guess(tenant, right)).status).toBe(429);
    expect((await authorize(tenant, { verification_code: await mintCode(tenant, { format: "typable" }) })).status).toBe(
      302,
    );
    expect((await guess(tenant, await mintNumeric(tenant))).status).toBe(302);
  });

  it("N6 makes who guesses wait twice as long each time", async () => {
    const tenant = await numericTenant({ numeric_guess_limit: 2 });
    const guesses = wrongGuesses("", 500).values();
    const waits: number[] = [];
    for (let round = 0; round < 7; round++) {
      const { retry_after } = await guessUntilClosed(tenant, guesses);
      waits.push(Math.ceil(retry_after / 3_600));
      await letPass(latchkey, "budgets", tenant.account_id, retry_after + 1);
    }
    expect(waits).toEqual([1, 2, 4, 8, 16, 24, 24]);
  });

  it("N7 gives no guess of the window back when somebody logs in", async () => {
    const tenant = await numericTenant();
    const right = await mintNumeric(tenant);
    const guesses = wrongGuesses(right, 100).values();
    for (let n = 0; n < 4; n++) expect((await guess(tenant, String(guesses.next().value))).status).toBe(400);
    expect((await guess(tenant, right)).status).toBe(302);
    expect((await guessUntilClosed(tenant, guesses)).compared).toBe(6);
  });

  it("N8 calls a mailed code one factor and never out-of-band, and a texted one by its name", async () => {
    const tenant = await createTenant(latchkey);
    const about = { grant_type: "authorization_code", audience: tenant.audience };
    for (const [connection, to, amr] of [
      ["email", tenant.user.email, ["otp"]],
      ["sms", tenant.user.phone_number, ["otp", "sms"]],
    ] as const) {
      const verification_code = await receiveCode(tenant, { connection, to });
      const ident = { ident_type: "user_id", ident: tenant.user.id };
      const { body } = await token(tenant, { ...about, ...ident, verification_code });
      expect(claimsOf(body.access_token), connection).toMatchObject({ amr, acr: "urn:latchkey:acr:1fa" });
    }
  });

  it("N10 texts a new number only once its owner confirmed it, and logs in by mail all the same", async () => {
    const tenant = await createTenant(latchkey);
    const value = `+4741${String(100_000 + Number(engine === "sqlite"))}`;
    const path = `${tenant.base}/customers/users/${tenant.user.id}/communication`;
    const post = (operation: string, json: object) =>
      call(`${path}/${operation}/phone_number`, { method: "POST", token: tenant.token, json });
    const textedLogins = async (to: string) => {
      await askForCode(tenant, { connection: "sms", phone_number: to });
      return (await inbox(tenant, to)).filter(({ text }) => /log/i.test(text) && text.includes("The Shop")).length;
    };
    expect((await post("send-verification-code", { value })).status).toBe(204);
    const [confirmation] = await inbox(tenant, value);
    expect(await textedLogins(value)).toBe(0);
    expect((await post("confirm-verification-code", { code: confirmation?.verification_code })).status).toBe(204);
    expect(await textedLogins(value)).toBe(1);
    expect(await textedLogins(tenant.user.phone_number)).toBe(0);
    expect((await authorize(tenant, { verification_code: await receiveCode(tenant) })).status).toBe(302);
  });

  it("N11 publishes two classes of login, of which none claims to withstand phishing", async () => {
    const tenant = await createTenant(latchkey);
    const { body } = await call(`${tenant.base}/.well-known/openid-configuration`);
    expect(body.acr_values_supported).toEqual(["urn:latchkey:acr:1fa", "urn:latchkey:acr:2fa"]);
  });
});

describeOnBothEngines("NIST SP 800-63B-4 in the browser", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  it("N13 tells browsers to come by https alone where it is served by https, and is served by nothing else", async () => {
    const secure = await startLatchkey(engine, { env: { PUBLIC_URL: "https://login.example" } });
    try {
      const tenant = await createTenant(secure);
      const hsts = async (path: string, from = secure) =>
        (await call(`${from.url}${path}`)).headers.get("strict-transport-security");
      const authorization = `/v1/accounts/${tenant.account_id}/oauth/authorize?client_id=nobody`;
      for (const path of [authorization, `/v1/accounts/${tenant.account_id}/auth/clients`, "/nowhere", "/%zz"])
        expect(await hsts(path), path).toBe("max-age=31536000");
      expect(await hsts(authorization, scene.latchkey)).toBeNull();
    } finally {
      await secure.close();
    }
    const insecure = { PUBLIC_URL: "http://login.example", DATABASE_URL: "postgres://x", MASTER_KEY };
    expect(() => readConfig(insecure)).toThrow(/PUBLIC_URL must be https/);
  });

  it("N16 ends a login that lies idle or is old, by the account's settings", async () => {
    const { latchkey, tenant } = scene;
    const set = (json: object) =>
      call(`${tenant.base}/auth/settings`, { method: "PATCH", token: tenant.token, json }).then(({ status }) => status);
    const beyond = [
      { session_idle_lifetime: 299 },
      { session_idle_lifetime: 2_592_001 },
      { session_lifetime: 299 },
      { session_lifetime: 31_536_001 },
    ];
    for (const json of beyond) expect(await set(json), JSON.stringify(json)).toBe(400);
    expect(await set({ session_idle_lifetime: 900, session_lifetime: 3_600 })).toBe(200);
    const silently = async (surfer: ReturnType<typeof openSurfer>) =>
      answered(await surfer.visit(scene.address(scene.own, { prompt: "none" }))).get("error");
    const logIn = async () => {
      const surfer = openSurfer(latchkey);
      const shown = await surfer.logIn(scene.address(), tenant, (await addUser(latchkey, tenant.account_id)).email);
      expect(shown.url.startsWith(CALLBACK)).toBe(true);
      return surfer;
    };
    const pass = (seconds: number) => letPass(latchkey, "sessions", tenant.account_id, seconds);
    const idle = await logIn();
    await pass(600);
    expect(await silently(idle)).toBeNull();
    await pass(901);
    expect(await silently(idle)).toBe("login_required");
    const busy = await logIn();
    for (let n = 0; n < 5; n++) {
      await pass(600);
      expect(await silently(busy), `after ${(n + 1) * 600} s`).toBeNull();
    }
    await pass(601);
    expect(await silently(busy)).toBe("login_required");
  });
});

/**
 * The clock of the server's machine is set forward and back while people log in. With PostgreSQL it is PostgreSQL's
 * clock that counts, and nobody notices. With SQLite it is the machine's own: codes expire with it, tokens of the
 * future are refused until it is there again, and what was spent, counted or ended stays so.
 */
import { decodeJwt } from "jose";
import { expect, it } from "vitest";
import { createTestDatabase, describeOnBothEngines } from "../support/engines.ts";
import { openSettableClock } from "../support/faketime.ts";
import { authorize, basic, call, mintCode, type Tenant } from "../support/latchkey.ts";
import { judge, startLoad, untilServed } from "../support/load.ts";
import { startProcess } from "../support/process.ts";
import { createTenantBeside } from "../support/tenants.ts";
import { wrongGuesses } from "../support/verification.ts";
import { pause } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";
/** Minutes; a code is good for ten. */
const JUMP = 11;
/** The account is older than any jump, and so are its keys. */
const AGE = 30;
/** What a person has in an hour. */
const GUESSES = 10;

describeOnBothEngines("a clock that jumps", (engine) => {
  it("brings nothing back", { timeout: 180_000 }, async ({ skip }) => {
    const clock = openSettableClock(-AGE);
    if (!clock) {
      console.warn("No libfaketime here: a clock that jumps is not tried.");
      return skip();
    }
    const own = engine === "sqlite";
    const database = await createTestDatabase(engine);
    const server = await startProcess({ database_url: database.database_url, env: { PUBLIC_URL, ...clock.env } });
    try {
      const tenant = await createTenantBeside(database.database_url, server.url, PUBLIC_URL);
      const { account_id } = tenant;
      const numeric = { account_id, client: { code_format: "numeric" as const } };
      const guessed = await createTenantBeside(database.database_url, server.url, PUBLIC_URL, numeric);
      const leaving = await createTenantBeside(database.database_url, server.url, PUBLIC_URL, { account_id });
      await untilServed(tenant);
      await clock.set(0);
      const young = { ...tenant, token: await newToken(tenant) };
      const wrong = async (many: number) => {
        const ident = { ident_type: "email", ident: guessed.user.email };
        const replies = [];
        for (const verification_code of wrongGuesses("", many))
          replies.push(await authorize(guessed, { verification_code, ...ident }));
        return replies;
      };
      const statuses = (await wrong(GUESSES + 1)).map(({ status }) => status);
      expect(statuses, "the person's guesses are used up").toEqual([...Array(GUESSES).fill(400), 429]);

      const [spent, late] = [await mintCode(tenant), await mintCode(leaving)];
      const login = await authorize(tenant, { verification_code: spent });
      expect(login.status).toBe(302);
      const load = startLoad([tenant]);
      await load.underWay();

      const stays = async (minutes: number) => {
        const where = `${minutes} min`;
        expect(await minutesAhead(tenant), where).toEqual({ machine: minutes, tokens: own ? minutes : 0 });
        const again = await authorize(tenant, { verification_code: spent });
        expect([again.status, again.body.error.code], where).toEqual([400, "verification_code_used"]);
        const [guess] = await wrong(1);
        expect(guess?.status, `no guess comes back, ${where}`).toBe(429);
        expect(Number(guess?.headers.get("retry-after")), where).toBeLessThanOrEqual(3_600 + 2 * JUMP * 60);
        expect((await read(tenant)).status, `older tokens are good, ${where}`).toBe(200);
        expect((await read(young)).status, `a token of 0 min, ${where}`).toBe(own && minutes < 0 ? 401 : 200);
        expect((await read({ ...tenant, token: await newToken(tenant) })).status, `a new token, ${where}`).toBe(200);
      };
      await clock.set(JUMP);
      await stays(JUMP);
      const one = await authorize(leaving, { verification_code: late });
      expect([one.status, one.body?.error?.code]).toEqual(own ? [400, "verification_code_expired"] : [302, undefined]);
      await clock.set(0);
      await stays(0);
      await clock.set(-JUMP);
      await stays(-JUMP);
      await pause(1_500);
      const gone = { method: "DELETE", token: tenant.token };
      expect((await call(`${tenant.base}/auth/clients/${leaving.client.id}`, gone)).status).toBe(200);
      expect((await read(leaving)).status, "deleted while the clock was behind").toBe(401);
      const back_ms = await untilServed(tenant);
      await load.stop();
      expect(load.dropped).toBe(0);
      expect([...load.refused.keys()].filter((answer) => !own || answer !== "400 verification_code_expired")).toEqual(
        [],
      );
      await judge(tenant, load, { fault: "clock set 11 min forward and back", engine, runs: 3, back_ms });
      await clock.set(0);
      expect([(await read(leaving)).status, (await read(young)).status]).toEqual([401, 200]);
    } finally {
      await server.kill("SIGTERM");
      await database.drop();
      clock.remove();
    }
  });
});

async function newToken({ base, client, issuer }: Tenant): Promise<string> {
  const json = { grant_type: "client_credentials", audience: issuer };
  const options = { method: "POST", headers: { authorization: basic(client) }, json };
  return (await call(`${base}/auth/token`, options)).body.access_token;
}

/** How far the server's machine is ahead by the Date of its answers, and the server itself by what its tokens say. */
async function minutesAhead(tenant: Tenant) {
  const reply = await authorize(tenant, { verification_code: await mintCode(tenant, { format: "link" }) });
  const id_token = new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "";
  const minutes = (at: number) => Math.round((at - Date.now()) / 60_000) + 0;
  return {
    machine: minutes(Date.parse(reply.headers.get("date") ?? "")),
    tokens: minutes((decodeJwt(id_token).iat ?? 0) * 1000),
  };
}

const read = ({ base, token }: Tenant) => call(`${base}/auth/clients`, { token });

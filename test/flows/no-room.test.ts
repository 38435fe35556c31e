/** More is to be hashed than there is room for: who is turned away has guessed at nothing, and spent nothing. */
import { readFileSync } from "node:fs";
import { afterAll, beforeAll, expect, it } from "vitest";
import { secret } from "../../src/secrets/secret.ts";
import { ROOM, slowHash } from "../../src/secrets/slow-hash.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  call,
  createTenant,
  inbox,
  type Latchkey,
  type Reply,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addPerson, logInAccountUser, PASSWORD, setPassword, token } from "../support/people.ts";

/** More often than anybody may guess. */
const TIMES = 11;

/** Somebody, and what they do. */
interface Way {
  readonly person: string;
  readonly done: number;
  attempt(): Promise<Reply>;
}

/** Whether it was hashed. */
const hash = (account_id: string) =>
  slowHash(account_id, secret("somebody else's")).then(
    () => true,
    () => false,
  );

/** Nobody else of the account finds room while this runs: what ends takes its place again before anybody can come. */
async function withoutRoom(account_id: string, work: () => Promise<void>): Promise<void> {
  let held = true;
  async function hold() {
    while (held) if (!(await hash(account_id)) && held && !(await hash(account_id))) await new Promise(setImmediate);
  }
  const holders = Array.from({ length: ROOM }, hold);
  // What stands still takes no time from anybody else, and holds on to its place.
  signalHasher("SIGSTOP");
  try {
    await work().finally(() => {
      held = false;
    });
    await Promise.all(holders);
  } finally {
    signalHasher("SIGCONT");
  }
}

/** The process that hashes for this one is its only child. */
function signalHasher(signal: NodeJS.Signals): void {
  if (process.platform !== "linux") return;
  const [pid] = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ").map(Number);
  if (!pid) throw new Error("nobody hashes");
  process.kill(pid, signal);
}

describeOnBothEngines("no room to hash", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
    // What a process hashes once is hashed.
    const json = { grant_type: "password", username: "nobody", password: PASSWORD, audience: tenant.audience };
    expect((await token(tenant, json)).status).toBe(400);
  });
  afterAll(() => latchkey.close());

  const post = (path: string, json: object) =>
    call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, json });

  async function waysIn(): Promise<Readonly<Record<string, Way>>> {
    const { account_id, audience } = tenant;
    const [one, two, three] = [
      await addPerson(latchkey, account_id),
      await addPerson(latchkey, account_id),
      await addPerson(latchkey, account_id),
    ];
    const customer = { audience, type: "customer" };
    await post("/customers/change_password", { ...customer, email: three.email });
    const verification_code = (await inbox(tenant, three.email))[0]?.verification_code;
    const me = await logInAccountUser(latchkey, tenant);
    await setPassword(latchkey, account_id, me.id);
    const change = { previous_password: PASSWORD, proposed_password: "a new battery" };
    return {
      "auth/token": {
        ...{ person: one.id, done: 200 },
        attempt: () => token(tenant, { grant_type: "password", username: one.email, password: PASSWORD, audience }),
      },
      "customers/login": {
        ...{ person: two.id, done: 200 },
        attempt: () => post("/customers/login", { ...customer, email: two.email, password: PASSWORD }),
      },
      "customers/change_password": {
        ...{ person: three.id, done: 204 },
        attempt: () =>
          post("/customers/change_password", {
            ...customer,
            email: three.email,
            verification_code,
            password: PASSWORD,
          }),
      },
      "account/user/password": {
        ...{ person: `change ${me.id}`, done: 201 },
        attempt: () =>
          call(`${latchkey.url}/v1/account/user/password`, { method: "POST", token: me.token, json: change }),
      },
    };
  }
  async function guessesAt(person: string): Promise<number> {
    const budgets = latchkey.server.core.storage.read.selectFrom("budgets").where("account_id", "=", tenant.account_id);
    const rows = await budgets
      .where("subject", "=", person)
      .where("budget", "=", "factor_guess")
      .select("count")
      .execute();
    return Number(rows[0]?.count ?? 0);
  }

  it("turns people away who then have guessed at nothing and spent nothing, whichever way they came", async () => {
    const ways = Object.entries(await waysIn());
    await withoutRoom(tenant.account_id, async () => {
      for (const [name, { attempt }] of ways)
        for (let n = 0; n < TIMES; n++) expect((await attempt()).status, name).toBe(503);
    });
    for (const [name, { person, attempt, done }] of ways) {
      expect(await guessesAt(person), name).toBe(0);
      expect((await attempt()).status, name).toBe(done);
    }
  });

  it("costs nobody's address a guess whose password was not compared, nor a code whose password was not hashed", async () => {
    const { email, id } = await addPerson(latchkey, tenant.account_id);
    const { audience } = tenant;
    const from = (path: string, json: object, host: string) =>
      call(`${tenant.base}${path}`, { method: "POST", token: tenant.token, json, headers: { "end-user-ip": host } });
    const login = { grant_type: "password", username: email, password: PASSWORD, audience };
    const attempt = () => from("/auth/token", login, "203.0.113.40");
    const customer = { audience, type: "customer", email };
    await post("/customers/change_password", customer);
    const verification_code = (await inbox(tenant, email))[0]?.verification_code;
    const chosen = { ...customer, verification_code, password: PASSWORD };
    const reset = () => from("/customers/change_password", chosen, "203.0.113.41");
    await withoutRoom(tenant.account_id, async () => {
      for (let n = 0; n < 21; n++)
        expect([(await attempt()).status, (await reset()).status], `attempt ${n}`).toEqual([503, 503]);
    });
    expect(await guessesAt(id)).toBe(0);
    expect((await attempt()).status).toBe(200);
    expect((await reset()).status).toBe(204);
  });
});

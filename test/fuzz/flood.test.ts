/**
 * Many requests at once, valid, nearly valid and hostile, over every operation of openapi.json: each succeeds at least
 * once, and there is no 5xx but of starved hashes, no answer that is late, every answer a documented one, and a process
 * that does not grow. FUZZ_REQUESTS asks for more, half on each engine; FUZZ_SEED for one run again. PROOF_OUT names a
 * file that gets a line of JSON for every engine.
 */
import { appendFileSync, readFileSync } from "node:fs";
import { Agent, request } from "node:http";
import { afterAll, beforeAll, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { createAccount } from "../../src/directory/accounts/create-account.ts";
import { belongingsOf, UPSTREAM } from "../support/belongings.ts";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import {
  actor,
  addClient,
  basic,
  CALLBACK,
  type CallOptions,
  call,
  createTenant,
  mintCode,
  newOwnerId,
  type Tenant,
} from "../support/latchkey.ts";
import { type MadeUpProvider, openMadeUpProvider } from "../support/made-up-provider.ts";
import { ATTEMPTS, OWN_ATTEMPTS } from "../support/operations.ts";
import { consent, personToken } from "../support/people.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { until } from "../support/smtp.ts";
import { type Belongings, STANDARD_ATTEMPTS } from "../support/standard-attempts.ts";
import { besideServer } from "../support/tenants.ts";
import { type Credentials, type Grown, grow, type Known, type Operation, type Usual } from "./grow.ts";
import { randomOf } from "./random.ts";

const REQUESTS = Math.ceil(Number(process.env.FUZZ_REQUESTS ?? 16_000) / 2);
const SEED = Number(process.env.FUZZ_SEED ?? Math.floor(Math.random() * 2 ** 31));
const LONG = 20_000;
/** Milliseconds in which everything has to be answered: a hash alone may wait ten seconds before it is refused. */
const LATEST = 25_000;
const AT_ONCE = 24;
/** Times that somebody comes again who is told to. */
const PATIENCE = 20;
/** What the log says of a hash that had no turn, and of somebody's next password, which waits for that one. */
const STARVED = /"detail":"too many (logins|wait for one another, or for too long)"/;
/** A tenant serves so many requests, in a short run an eighth of them; then what was changed and removed in it is too much. */
const TENANT = Math.min(4_000, Math.ceil(REQUESTS / 8));
/**
 * Runs in the server: at SIGUSR2 it collects its garbage, and says how many bytes it holds then, without the room that
 * the engine keeps for garbage to come, which grows and shrinks as the machine allows.
 */
const WEIGHS_ITSELF = `
  import { setFlagsFromString } from "node:v8";
  import { runInNewContext } from "node:vm";
  setFlagsFromString("--expose-gc");
  const gc = runInNewContext("gc");
  process.on("SIGUSR2", () => {
    for (let times = 0; times < 3; times++) gc();
    const { rss, heapTotal, heapUsed } = process.memoryUsage();
    console.error("holds " + (rss - heapTotal + heapUsed) + " bytes");
  });`;
/** What the HTTP layer says to requests that reach no operation, or none in a form that it takes. */
const UNDECLARED = new Set([400, 404, 405, 413, 414, 415, 417, 431]);

interface Answer {
  readonly status: number;
  readonly type: string;
  readonly id: string;
  readonly retry_after: boolean;
  readonly text: string;
}

describeOnBothEngines("a flood of requests", (engine) => {
  let database: TestDatabase;
  let server: ServerProcess;
  let provider: MadeUpProvider;
  let told_to_come_again = 0;
  let operations: readonly Operation[];
  const public_url = "http://localhost:9";
  const agent = new Agent({ keepAlive: true, maxSockets: AT_ONCE });
  beforeAll(async () => {
    database = await createTestDatabase(engine);
    // A code is the address of whoever logged in there.
    provider = await openMadeUpProvider((form) => {
      const email = form.get("code") ?? "";
      return { sub: email, email, email_verified: true };
    });
    const NODE_OPTIONS = `--import=data:text/javascript,${encodeURIComponent(WEIGHS_ITSELF)}`;
    const env = { PUBLIC_URL: public_url, LOG_LEVEL: "error", NODE_OPTIONS, EGRESS_ALLOW: "127.0.0.1" };
    server = await startProcess({ database_url: database.database_url, port: await freePort(), env });
    const { paths } = (await call(`${server.url}/openapi.json`)).body as {
      paths: Record<string, Record<string, Operation>>;
    };
    operations = Object.entries(paths).flatMap(([path, methods]) =>
      Object.entries(methods).map(([method, operation]) => ({ ...operation, path, method: method.toUpperCase() })),
    );
  });
  afterAll(async () => {
    agent.destroy();
    await server.kill("SIGTERM");
    await provider.close();
    await database.drop();
  });

  function ask({ method, path, headers: grown, body }: Grown): Promise<Answer | "hung" | "broken"> {
    // Node gives the body of GET, HEAD and DELETE no length by itself: it would be garbage between this request and the next.
    const headers = body ? { ...grown, "content-length": String(body.length) } : grown;
    return new Promise((resolve) => {
      const options = { agent, method, path, port: server.port, host: "127.0.0.1", headers, timeout: LATEST };
      const asking = request(options, (response) => {
        const pieces: Buffer[] = [];
        response.on("data", (piece) => pieces.push(piece));
        response.on("end", () => {
          const { "content-type": type = "", "request-id": id = "" } = response.headers;
          const retry_after = response.headers["retry-after"] !== undefined;
          const text = Buffer.concat(pieces).toString();
          resolve({ status: response.statusCode ?? 0, type, id: String(id), retry_after, text });
        });
      });
      asking.on("timeout", () => {
        asking.destroy();
        resolve("hung");
      });
      asking.on("error", () => resolve("broken"));
      asking.end(body);
    });
  }

  /**
   * Slow hashes of passwords run at a low priority, and on a machine that is busy with something else they tell
   * people to come again (503, Retry-After). Whoever does so is served; the server's log tells this reason from any
   * other.
   */
  async function askPatiently(grown: Grown): Promise<Answer | "hung" | "broken"> {
    for (let times = 1; ; times++) {
      const answer = await ask(grown);
      if (typeof answer === "string" || answer.status !== 503 || !answer.retry_after || times >= PATIENCE)
        return answer;
      await new Promise((resolve) => setTimeout(resolve, 1_000));
      if (!STARVED.test((await logged(answer)) ?? "")) return answer;
      told_to_come_again++;
    }
  }

  /** What the server's log says of an answer. Where both are busy, it takes its time to come. */
  const logged = ({ id }: Answer): Promise<string | undefined> =>
    until("the line", () =>
      server
        .output()
        .split("\n")
        .find((one) => one.includes(`"${id}"`)),
    ).catch(() => undefined);

  /** Megabytes that the process holds while nobody asks for anything. */
  async function held(): Promise<number> {
    const said = () => [...server.output().matchAll(/^holds (\d+) bytes$/gm)];
    const before = said().length;
    server.signal("SIGUSR2");
    const [, bytes] = await until("the server to weigh itself", () => said()[before]);
    return Math.round(Number(bytes) / 1024 / 1024);
  }

  it(`of ${REQUESTS} brings no 5xx, and leaves nothing behind`, { timeout: 120_000 + REQUESTS * 10 }, async () => {
    const random = randomOf(SEED);
    const statuses = new Map(operations.map(({ operationId }) => [operationId, new Map<number, number>()]));
    const faults: string[] = [];
    const memory: number[] = [];
    const counts = { server_errors: 0, hung: 0, undocumented: 0 };
    told_to_come_again = 0;
    const began = performance.now();
    let [sent, told] = [0, 0];
    let scene = openScene();
    let early: Promise<number> | undefined;

    const judge = async (operation: Operation, grown: Grown, answer: Answer | "hung" | "broken") => {
      const fault = faultOf(operation, grown, answer);
      if (typeof answer !== "string") {
        const seen = statuses.get(operation.operationId) as Map<number, number>;
        seen.set(answer.status, (seen.get(answer.status) ?? 0) + 1);
      }
      if (!fault) return;
      counts[fault]++;
      const said = typeof answer === "string" ? answer : `${answer.status} ${answer.text.slice(0, 200)}`;
      const why = typeof answer === "string" || answer.status < 500 ? "" : `, logged as ${await logged(answer)}`;
      const asked = `${grown.method} ${grown.path.slice(0, 200)} ${JSON.stringify({ ...grown.headers, authorization: undefined })} ${grown.body?.toString("latin1").slice(0, 200) ?? ""}`;
      if (faults.length < 20) faults.push(`${fault}: ${operation.operationId}: ${said} to ${asked}${why}`);
    };
    const send = async (operation: Operation) => {
      const { known, credentials, usual } = await scene;
      const grown = grow(operation, known, credentials, random, usual.get(operation.operationId));
      await judge(operation, grown, await askPatiently(grown));
    };
    const live = async () => {
      while (sent < REQUESTS) {
        const operation = operations[sent % operations.length] as Operation;
        if (++sent % TENANT === 0) scene = openScene();
        if (sent % Math.ceil(REQUESTS / 100) === 0) memory.push(rssOf(server.pid));
        // The first requests fill caches.
        if (sent > REQUESTS * 0.3) early ??= held();
        await early;
        await send(operation);
        const seconds = (performance.now() - began) / 1000;
        if (REQUESTS >= LONG && seconds > told + 20) {
          told = seconds;
          console.log(`${engine}: ${sent} requests, ${Math.round(sent / seconds)} a second, ${rssOf(server.pid)} MB`);
        }
      }
    };
    await Promise.all(Array.from({ length: AT_ONCE }, live));

    const [at_first, at_last] = [await early, await held()];
    const succeeded = ({ operationId }: Operation) =>
      [...(statuses.get(operationId)?.keys() ?? [])].some((status) => status < 400);
    const unlucky = () => operations.filter((operation) => !succeeded(operation));
    // A removal is seldom asked for as it should be, so a short run may have none that succeeds.
    for (let times = 0; times < 100 && unlucky().length > 0; times++) {
      if (times % 25 === 0) scene = openScene();
      await Promise.all(unlucky().map(send));
    }
    const never = unlucky().map(({ operationId }) => operationId);
    report({
      ...{ what: "requests", engine, requests: sent, seed: SEED },
      seconds: Math.round((performance.now() - began) / 1000),
      ...{
        ...counts,
        told_to_come_again,
        operations: operations.length,
        succeeded: operations.length - never.length,
        held_mb_early: at_first,
        held_mb_late: at_last,
        rss_mb_most: Math.max(...memory),
        never_succeeded: never.join(" "),
      },
    });
    expect(faults, `FUZZ_SEED=${SEED}`).toEqual([]);
    for (const [operation, seen] of statuses) expect(seen.size, `${operation} was asked`).toBeGreaterThan(0);
    expect(never, `operations that never succeeded, FUZZ_SEED=${SEED}`).toEqual([]);
    // Short runs end while caches still fill.
    if (REQUESTS >= LONG) expect(at_last, `MB held, from ${at_first}`).toBeLessThan(1.1 * (at_first ?? 0) + 15);
    expect((await call(`${server.url}/readyz`)).status).toBe(200);
  });

  interface Scene {
    readonly known: Known;
    readonly credentials: Credentials;
    readonly usual: ReadonlyMap<string, readonly (() => Usual)[]>;
  }

  const openScene = (): Promise<Scene> =>
    besideServer(database.database_url, server.url, public_url, async (latchkey) => {
      const tenant = await createTenant(latchkey, { account_id: newOwnerId() });
      const other = await createTenant(latchkey, { account_id: newOwnerId() });
      // A login ends the codes before it.
      const person = await personToken(tenant);
      const belongings = await belongingsOf(latchkey, tenant, provider.issuer);
      // What is removed and changed is a client that nobody asks with.
      const { id } = await addClient(latchkey, tenant.account_id);
      await consent(latchkey, tenant.account_id, tenant.user.id, id);
      const merchant = `${tenant.account_id.slice(0, 4)}00001`;
      await createAccount(latchkey.server.core.directory, { account_id: merchant, name: "A Merchant" }, actor);
      const usual = usualOf(tenant, { ...belongings, ids: { ...belongings.ids, client: id, merchant } }, person);
      return { known: await knownOf(tenant, other, belongings), credentials: credentialsOf(tenant), usual };
    });
});

/** The requests that other tests send, each of which is served at least once. */
function usualOf(
  { account_id, token }: Tenant,
  own: Belongings,
  person_token: string,
): ReadonlyMap<string, readonly (() => Usual)[]> {
  const usual = new Map<string, (() => Usual)[]>();
  const base = `/v1/accounts/${account_id}`;
  const note = (operation: string, make: () => Usual) => usual.set(operation, [...(usual.get(operation) ?? []), make]);
  const asked = (path: string, bearer: string, options: CallOptions = {}): Usual => ({
    path,
    headers: { authorization: `Bearer ${options.token ?? bearer}`, ...options.headers },
    query: options.query ?? {},
    body: options.form ?? (options.json as object | undefined),
  });
  for (const { operation, path, options, person } of ATTEMPTS)
    note(operation, () => asked(`${base}${path(own.ids)}`, person ? person_token : token, options?.(own.ids)));
  for (const { operation, path, options } of OWN_ATTEMPTS)
    note(operation, () => asked(path(own.ids), own.staff_token, options?.(own.ids)));
  const { client_id } = own.client;
  const upstream = { grant_type: "authorization_code", client_id, audience: UPSTREAM, code: own.ids.email };
  note("aid_auths_oidc_token_post", () => asked(`${base}/auth/oidc/token`, token, { json: upstream }));
  for (const { operation, path, options } of STANDARD_ATTEMPTS)
    note(operation, () => {
      const { browser, headers = {}, ...rest } = options(own, own);
      const cookie: Record<string, string> = browser === undefined ? {} : { cookie: `lk_${account_id}=${browser}` };
      return asked(`${base}${path(own)}`, token, { ...rest, headers: { ...headers, ...cookie } });
    });
  return usual;
}

function credentialsOf({ account_id, token, client }: Tenant): Credentials {
  return { oid: account_id, bearer: `Bearer ${token}`, basic: basic(client) };
}

/**
 * Removing or changing the client that asks would end the scene, and so would revoking its token: ids of clients are
 * another's, or nobody's, most of the time, and tokens a person's.
 */
async function knownOf(tenant: Tenant, other: Tenant, { access_token, refresh_token }: Belongings): Promise<Known> {
  const { client, user, audience, issuer } = tenant;
  const codes = await Promise.all([0, 1, 2].map(() => mintCode(tenant).catch(() => "7KQM4-X2PVD")));
  const any = [
    client.client_id,
    user.id,
    user.email,
    audience,
    issuer,
    other.user.id,
    "openid",
    "email",
    "123456",
    "x",
  ];
  const ids = [user.id, other.client.id, "019e0000-0000-7000-8000-000000000000"];
  return {
    any,
    ...{ client_id: [client.client_id], audience: [audience, issuer], resource: [audience], redirect_uri: [CALLBACK] },
    ...{
      verification_code: codes,
      code: codes,
      token: [access_token, refresh_token, "x"],
      subject_token: [access_token],
      email: [user.email, "new@example.com"],
    },
    ...{
      connection: ["email", "sms"],
      ident: [user.email, user.phone_number],
      ident_type: ["email"],
      user_id: [user.id],
    },
    ...{
      scope: ["openid", "orders:read"],
      id: ids,
      customer_id: ids,
      uid: ids,
      role_id: ids,
      to: [user.email],
      password: ["a long password"],
    },
    ...{
      username: ["somebody", user.email],
      phone_number: [user.phone_number],
      callbacks: [[CALLBACK]],
      redirect_uris: [[CALLBACK]],
    },
    ...{
      name: ["Shop"],
      response_type: ["code"],
      state: ["s"],
      grant_type: ["client_credentials", "refresh_token", "authorization_code"],
    },
  };
}

type FaultKind = "server_errors" | "hung" | "undocumented";

function faultOf(operation: Operation, grown: Grown, answer: Answer | "hung" | "broken"): FaultKind | undefined {
  if (answer === "hung") return "hung";
  // What is no HTTP at all is hung up on, after an answer that Node's client may not see.
  if (answer === "broken") return grown.tame ? "hung" : undefined;
  const { status, type, id, text } = answer;
  if (status >= 500) return "server_errors";
  if (!(String(status) in operation.responses) && !(status >= 400 && UNDECLARED.has(status))) return "undocumented";
  if (status < 400 || operation.method === "HEAD" || type.startsWith("text/html")) return undefined;
  return /^[\w-]{16}$/.test(id) && isDocumented(text) ? undefined : "undocumented";
}

/**
 * `{ error: { code, message } }` of the account API, or `{ error, error_description }` of RFC 6749 §5.2, which names
 * its characters.
 */
function isDocumented(text: string): boolean {
  try {
    const { error, error_description } = JSON.parse(text) as { error: unknown; error_description?: unknown };
    const { code, message } =
      typeof error === "string" ? { code: error, message: error_description } : (error as Record<string, unknown>);
    if (typeof error === "string" && !/^[\x20\x21\x23-\x5b\x5d-\x7e]+$/.test(String(message))) return false;
    return /^[a-z_]+$/.test(String(code)) && typeof message === "string" && message.length > 5;
  } catch {
    return false;
  }
}

function rssOf(pid: number): number {
  return Math.round(Number(/VmRSS:\s+(\d+)/.exec(readFileSync(`/proc/${pid}/status`, "utf8"))?.[1] ?? 0) / 1024);
}

function report(line: object): void {
  const { PROOF_OUT } = process.env;
  if (PROOF_OUT) appendFileSync(PROOF_OUT, `${JSON.stringify(line)}\n`);
}

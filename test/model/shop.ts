/**
 * One person at one client, as the real server has them: carries commands out, and keeps what was seen until a turn is over. Then
 * it has to be a history of an object that does one thing at a time.
 */
import { createLocalJWKSet, decodeProtectedHeader, type JSONWebKeySet, jwtVerify } from "jose";
import { codeDigest, normaliseCode } from "../../src/authentication/codes/code.ts";
import { secret } from "../../src/secrets/secret.ts";
import { instant } from "../../src/storage/storage.ts";
import {
  addClient,
  addGrant,
  addUser,
  askForCode,
  authorize,
  call,
  inbox,
  type Latchkey,
  type Reply,
  type Tenant,
} from "../support/latchkey.ts";
import type { Command } from "./commands.ts";
import { type Event, linearize } from "./linearize.ts";
import { apply, type Format, type Login, newLogin, type Outcome, type Step, settle } from "./login-model.ts";

/** The limits of what one caller may send to one person are another test's. */
const SENDS = 5;

/**
 * The server sends nothing again for 30 s. In the model time passes by steps alone: where this much of it went by, a
 * step says so.
 */
const REAL_TIME = 10_000;

/** Processes that share the database, as they are now. */
export type Servers = () => readonly Latchkey[];

export class Shop {
  readonly #servers: Servers;
  readonly #tenant: Tenant;
  readonly #grant: string;
  /** Codes in the order in which they were handed out, with their formats. */
  readonly #codes: [text: string, format: Format][] = [];
  readonly #sessions: string[] = [];
  #known: readonly string[] = [];
  #keys: JSONWebKeySet = { keys: [] };
  #sends = 0;
  #sentAt: number | undefined;
  #sending: Promise<unknown> = Promise.resolve();
  #states: readonly Login[] = [newLogin];
  #history: Event<Step, Outcome>[] = [];

  private constructor(servers: Servers, tenant: Tenant, grant: string) {
    this.#servers = servers;
    this.#tenant = tenant;
    this.#grant = grant;
  }

  static async open(servers: Servers, account: Tenant): Promise<Shop> {
    const [latchkey] = servers() as readonly [Latchkey];
    const { account_id, audience } = account;
    const client = await addClient(latchkey, account_id);
    const grant = await addGrant(latchkey, account_id, client, audience, ["orders:read"]);
    return new Shop(servers, { ...account, client, user: await addUser(latchkey, account_id) }, grant);
  }

  /** What the commands of a turn may name. */
  async beginTurn(): Promise<void> {
    this.#known = this.#codes.slice(-6).map(([text]) => text);
    if (performance.now() - (this.#sentAt ?? Number.POSITIVE_INFINITY) > REAL_TIME)
      await this.#record({ kind: "rest" });
  }

  /** @throws what no order of the turn's steps explains. */
  endTurn(): void {
    const before = this.#states;
    const history = this.#history;
    this.#history = [];
    this.#states = linearize(before, history, apply).map(settle);
    if (this.#states.length === 0)
      throw new Error(`no order of these explains them: ${JSON.stringify({ before: before.slice(0, 3), history })}`);
  }

  /** @returns how many steps it was: none where there is nothing yet that the command could name. */
  async carryOut(command: Command): Promise<number> {
    const step = this.#stepOf(command);
    if (!step) return 0;
    const sends = step.kind === "send" || step.kind === "resend";
    if (sends && ++this.#sends > SENDS) return 0;
    // Which of two sends at once a message is of cannot be seen.
    if (sends) {
      this.#sending = this.#sending.then(() => this.#record(step));
      await this.#sending;
    } else await this.#record(step);
    return 1;
  }

  #stepOf({ kind, nth, format, thing, via: wanted }: Command): Step | undefined {
    const via = wanted % this.#servers().length;
    const code = this.#known[nth % Math.max(1, this.#known.length)];
    const session = this.#sessions[nth % Math.max(1, this.#sessions.length)];
    switch (kind) {
      case "mint":
        return { kind, format, via };
      case "send":
      case "guess":
        return { kind, via };
      case "resend":
        return session === undefined ? undefined : { kind, session, via };
      case "redeem":
        return code === undefined ? undefined : { kind, code, via };
      case "expire":
        return code === undefined ? undefined : { kind, code };
      case "rest":
        return { kind };
      case "remove":
        return { kind, thing, via };
      case "rotate":
        return undefined;
    }
  }

  async #record(step: Step): Promise<void> {
    const began = performance.now();
    const outcome = await this.#perform(step);
    this.#history.push({ step, outcome, began, ended: performance.now() });
    const { code, session } = outcome;
    if (code !== undefined && !this.#codes.some(([text]) => text === code))
      this.#codes.push([code, step.kind === "mint" ? step.format : "typable"]);
    if (session !== undefined && !this.#sessions.includes(session)) this.#sessions.push(session);
  }

  async #perform(step: Step): Promise<Outcome> {
    switch (step.kind) {
      case "mint": {
        const { audience, client, user } = this.#tenant;
        const json = { audience, client_id: client.client_id, user_id: user.id, format: step.format };
        const reply = await this.#post(step.via, "/auth/passwordless/code", json);
        return { answer: answerOf(reply), code: reply.body?.verification_code };
      }
      case "send":
        return this.#send(step.via, {});
      case "resend":
        return this.#send(step.via, { login_session_id: step.session });
      case "guess":
        return this.#redeem(step.via, this.#unheard(), true);
      case "redeem":
        return this.#redeem(step.via, step.code, this.#isNumeric(step.code));
      case "expire":
        await this.#expire(step.code);
        return { answer: "" };
      case "rest":
        await this.#rest();
        this.#sentAt = undefined;
        return { answer: "" };
      case "remove": {
        const { client, user, token } = this.#tenant;
        const path = {
          user: `/customers/users/${user.id}`,
          client: `/auth/clients/${client.id}`,
          grant: `/auth/client-grants/${this.#grant}`,
        }[step.thing];
        return { answer: answerOf(await call(`${this.#base(step.via)}${path}`, { method: "DELETE", token })) };
      }
    }
  }

  async #send(via: number, fields: { login_session_id?: string }): Promise<Outcome> {
    const { email } = this.#tenant.user;
    const tenant = { ...this.#tenant, base: this.#base(via) };
    this.#sentAt ??= performance.now();
    const reply = await askForCode(tenant, { email, ...fields });
    const messages = await inbox(tenant, email);
    return {
      answer: answerOf(reply),
      code: messages[0]?.verification_code,
      session: reply.headers.get("login-session-id") ?? undefined,
      messages: messages.length,
    };
  }

  async #redeem(via: number, verification_code: string, numeric: boolean): Promise<Outcome> {
    const ident = numeric ? { ident_type: "email", ident: this.#tenant.user.email } : {};
    const reply = await authorize({ ...this.#tenant, base: this.#base(via) }, { verification_code, ...ident });
    if (reply.status !== 302) return { answer: answerOf(reply) };
    return { answer: (await this.#isLoggedIn(reply, via)) ? "302" : "302 with another's ID token" };
  }

  /** An ID token of this person, signed with a key that is published, whatever was rotated meanwhile. */
  async #isLoggedIn(reply: Reply, via: number): Promise<boolean> {
    const token = new URL(reply.headers.get("location") ?? "").searchParams.get("id_token") ?? "";
    const { kid } = decodeProtectedHeader(token);
    if (!this.#keys.keys.some((key) => key.kid === kid))
      this.#keys = (await call(`${this.#base(via)}/oauth/jwks.json`)).body;
    const { issuer, user } = this.#tenant;
    return (await jwtVerify(token, createLocalJWKSet(this.#keys), { issuer })).payload.sub === user.id;
  }

  /** Lets a code's time be over, and that of the logins it was sent for. */
  async #expire(text: string): Promise<void> {
    const { storage, directory } = this.#server(0).server.core;
    const { kind, code } = normaliseCode(secret(text));
    if (kind === "malformed") throw new Error(`${text} is no code`);
    const { master_keys } = directory;
    const { account_id, audience, client, user } = this.#tenant;
    const binding = { account_id, client_id: client.id, audience, person: user.id };
    const digest = codeDigest(master_keys, master_keys.current, binding, kind, code);
    const over = { expires_at: instant(storage.now() - 1_000) };
    await storage.write(async ({ db }) => {
      const expired = await db
        .updateTable("verification_codes")
        .set(over)
        .where("account_id", "=", account_id)
        .where(kind === "link" ? "link_digest" : "typed_digest", "=", digest)
        .where("spent_at", "is", null)
        .where("expires_at", ">", over.expires_at)
        .returning("id")
        .execute();
      for (const { id } of expired)
        await db
          .updateTable("login_sessions")
          .set(over)
          .where("account_id", "=", account_id)
          .where("code_id", "=", id)
          .execute();
    });
  }

  async #rest(): Promise<void> {
    const { storage } = this.#server(0).server.core;
    const { account_id, client } = this.#tenant;
    await storage.write(({ db }) =>
      db
        .updateTable("verification_codes")
        .set({ last_sent_at: instant(storage.now() - 60_000) })
        .where("account_id", "=", account_id)
        .where("client_id", "=", client.id)
        .where("last_sent_at", "is not", null)
        .execute(),
    );
  }

  #server(via: number): Latchkey {
    return this.#servers()[via] as Latchkey;
  }

  #base(via: number): string {
    return `${this.#server(via).url}/v1/accounts/${this.#tenant.account_id}`;
  }

  #post(via: number, path: string, json: object): Promise<Reply> {
    return call(`${this.#base(via)}${path}`, { method: "POST", token: this.#tenant.token, json });
  }

  #isNumeric(code: string): boolean {
    return this.#codes.some(([text, format]) => text === code && format === "numeric");
  }

  /** A number that is none of these. */
  #unheard(): string {
    for (let n = 100_000; ; n++) if (!this.#isNumeric(String(n))) return String(n);
  }
}

const answerOf = ({ status, body }: Reply) => (status < 400 ? String(status) : String(body?.error?.code));

/** Somebody who asks for codes again and again, at a time that stands still, and looks at what became of it. */
import { type SendRequest, type Sent, sendCode } from "../../src/authentication/verification/send.ts";
import type { AccountSettings } from "../../src/directory/accounts/settings.ts";
import type { ClientSettings } from "../../src/directory/clients/settings.ts";
import { insertLogin, type Login } from "./verification.ts";
import { accountOf, clientOf, type Ground, refusalOf } from "./verification-room.ts";

export const facts = { request_id: "r", ip: "192.0.2.1" };
export const sms = { name: "sms", strategy: "sms" } as const;

interface Settings {
  readonly account?: Partial<AccountSettings>;
  readonly client?: Partial<ClientSettings>;
}

export const emailOf = (who: Login) => `${who.user_id}@example.com`;

/** `ground` is asked at each step, since a suite opens it before its first test. */
export function senderOn(ground: () => Ground) {
  let accounts = 0;
  let logins = 0;
  const sender = {
    /** An account of its own, so that nothing is counted twice. */
    open(): Promise<Login> {
      accounts += 1;
      return insertLogin(ground().storage, { account_id: `T${20_000_000 + accounts}` });
    },
    requestOf: (who: Login, fields: Partial<SendRequest> = {}, settings: Settings = {}): SendRequest => ({
      account: accountOf(who, settings.account),
      client: clientOf(who, settings.client),
      audience: who.audience,
      connection: { name: "email", strategy: "email" },
      email: emailOf(who),
      user_type: "customer",
      source: null,
      own: null,
      actor: "caller",
      facts,
      now: ground().now,
      ...fields,
    }),
    send: (who: Login, fields: Partial<SendRequest> = {}, settings: Settings = {}): Promise<Sent> =>
      sendCode(ground().room, sender.requestOf(who, fields, settings)),
    /** 0 for what was sent, else how long to wait. */
    async waitOf(who: Login, fields?: Partial<SendRequest>, settings?: Settings) {
      const { code, options } = await refusalOf(sender.send(who, fields, settings));
      return code === undefined ? 0 : code === "too_many_requests" ? options?.retry_after : code;
    },
    async waits(count: number, who: Login, fields?: Partial<SendRequest>, settings?: Settings) {
      const all = [];
      for (let n = 0; n < count; n++) all.push(await sender.waitOf(who, fields, settings));
      return all;
    },
    /** As `waits`, each at another login: one takes but one of what its recipient may get within half a minute. */
    async waitsApart(count: number, who: Login, fields?: Partial<SendRequest>, settings?: Settings) {
      const all = [];
      for (let n = 0; n < count; n++) {
        logins += 1;
        all.push(await sender.waitOf(who, { audience: `https://${logins}.example`, ...fields }, settings));
      }
      return all;
    },
    of: <T extends "verification_codes" | "login_sessions" | "outbox">(table: T, who: Login) =>
      ground()
        .storage.read.selectFrom(table as "login_sessions")
        .selectAll()
        .where("account_id", "=", who.account_id)
        .orderBy("created_at")
        .execute(),
    async events(who: Login) {
      const { read } = ground().storage;
      const rows = read.selectFrom("audit_events").selectAll().where("account_id", "=", who.account_id);
      return (await rows.orderBy("created_at").execute()).map((row) => ({ ...row, context: JSON.parse(row.context) }));
    },
    withheldFrom: async (who: Login): Promise<string[]> =>
      (await sender.events(who)).map(({ context }) => context.withheld ?? "sent"),
  };
  return sender;
}

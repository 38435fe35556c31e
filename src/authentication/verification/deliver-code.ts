import type { MessagePurpose } from "../../delivery/delivery.ts";
import type { Directory } from "../../directory/directory.ts";
import { pageHost } from "../../directory/grants/audience.ts";
import { spokenOf } from "../../http/languages.ts";
import { budgets } from "../../limits/budgets.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";
import type { CodeFormat } from "../codes/code.ts";
import { enqueueMessage, senderOf } from "../messages/enqueue-message.ts";
import { withhold } from "../messages/sms-limits.ts";
import { becameOf } from "./awaited-code.ts";
import { isShut } from "./guess-window.ts";
import { issueCode } from "./issue-code.ts";
import type { Login } from "./login.ts";
import type { PersonNow } from "./people-store.ts";
import type { SendRequest } from "./send.ts";
import { wentOver, wentOverAlone, wentOverSeveral, withConnection } from "./sent-over.ts";
import { type CodeRow, selectLiveCodes, updateSent } from "./store.ts";

export interface Delivery {
  /** The code of this login; undefined when a resend found it spent. */
  readonly code: CodeRow | undefined;
  /** Why no message goes out, for the audit trail alone. */
  readonly withheld: string | undefined;
}

/** After a send, so many milliseconds must pass before the next one over the same connection. */
const PAUSE = budgets.send_pause.window * 1_000;

/**
 * The code that this request sends: the pending one of its connection while that has half its life left, else a second
 * one, never a third. A resend sends its session's code and no other, also over another connection, unless that is
 * numeric and wrong guesses killed it or closed those of the person. Soon after one of the login was sent that may still be
 * entered, nothing goes out over its connection.
 */
export async function deliverCode(
  tx: Transaction,
  directory: Directory,
  request: SendRequest,
  login: Login,
  { window, locale }: PersonNow,
): Promise<Delivery> {
  const { account, client, connection, now } = request;
  const closed = isShut(window, account.settings.numeric_guess_limit, instant(now));
  const format: CodeFormat = closed ? "typable" : client.settings.code_format;
  const { audience, person } = login;
  const key = { account_id: account.account_id, client_id: client.id, audience, person };
  const live = await selectLiveCodes(tx.db, key, instant(now));
  const begun = login.resumed ? live.find(({ id }) => id === login.code_id) : undefined;
  if (login.resumed && !begun) return { code: undefined, withheld: "the code was redeemed" };
  const open = live.filter((code) => becameOf(code, closed) === "open");
  const pending = open.find((code) => code === begun) ?? findPending(open, request, format);
  const signup = begun ? begun.signup === 1 : login.signup;
  const paused = open.some((one) => sentJustNow(one, connection.name, now));
  const code = pending ?? (await newCode(tx, directory, request, { ...login, signup }, format, paused));
  if (paused) return { code, withheld: "sent a moment ago" };
  const to = connection.strategy === "email" ? login.email : login.phone_number;
  const standing = login.user_id === null ? "new" : request.own === null ? "known" : "own";
  const recipient = { strategy: connection.strategy, to, country: login.country, standing } as const;
  const silent = await withhold(tx, account, recipient, now);
  const reached = silent === undefined ? to : null;
  if (pending) await noteSent(tx, request, login, code, reached);
  const host = pageHost(directory.public_url, login.audience);
  // At the hosted login whoever guesses may ask too: their code is told like every other code, the guesses in a message of their own.
  const told = host === undefined && closed && client.settings.code_format === "numeric";
  const purpose = purposeOf(request, signup, told);
  await enqueueMessage(tx, {
    account,
    sender: senderOf(account, client, host),
    code,
    kind: "verification",
    purpose,
    connection: connection.name,
    strategy: connection.strategy,
    to: reached,
    locale: spokenOf(request.locale, locale, account.settings.locale),
    now,
  });
  return { code, withheld: silent };
}

function purposeOf({ purpose }: SendRequest, signup: boolean, closed: boolean): MessagePurpose {
  if (purpose) return purpose;
  if (signup) return "signup";
  return closed ? "numeric_closed" : "login";
}

/**
 * Among codes that went over this connection alone, since reading one that went over two proves less; only where two such
 * live already, it is the newer of them. One that was just sent has no second beside it yet.
 */
function findPending(
  open: readonly CodeRow[],
  { connection, now }: SendRequest,
  format: CodeFormat,
): CodeRow | undefined {
  const usable = open.filter((code) => code.connections !== null && code.format === format);
  const own = usable.filter((code) => wentOverAlone(code, connection.name));
  const [newest] = own;
  if (!newest) {
    const resent = usable.filter(wentOverSeveral);
    return resent.length > 1 ? resent[0] : undefined;
  }
  const life = Date.parse(newest.expires_at) - Date.parse(newest.created_at);
  const left = Date.parse(newest.expires_at) - now;
  return left * 2 >= life || own.length > 1 || sentJustNow(newest, connection.name, now) ? newest : undefined;
}

async function newCode(
  tx: Transaction,
  directory: Directory,
  { account, client, connection, actor, now }: SendRequest,
  login: Login,
  format: CodeFormat,
  paused: boolean,
): Promise<CodeRow> {
  const by_email = connection.strategy === "email";
  const { row } = await issueCode(tx.db, directory, {
    account,
    client,
    audience: login.audience,
    person: login.person,
    user_id: login.user_id,
    format,
    connection: connection.name,
    signup: login.signup,
    email: by_email ? login.email : null,
    phone_number: by_email ? null : login.phone_number,
    created_by: actor,
    last_sent_at: paused ? null : instant(now),
    now,
  });
  return row;
}

function sentJustNow(code: CodeRow, connection: string, now: number): boolean {
  const { last_sent_at } = code;
  return wentOver(code, connection) && last_sent_at !== null && isRecent(last_sent_at, now);
}

/** Less than `PAUSE` ago; a time to come, of a clock that was set back since, is no such time. `now` in milliseconds. */
export const isRecent = (at: Instant, now: number): boolean => Math.abs(now - Date.parse(at)) < PAUSE;

async function noteSent(
  tx: Transaction,
  { account, connection, now }: SendRequest,
  login: Login,
  code: CodeRow,
  to: string | null,
): Promise<void> {
  const by_email = connection.strategy === "email";
  await updateSent(tx.db, account.account_id, code.id, {
    connections: withConnection(code, connection.name),
    email: by_email && to !== null ? login.email : code.email,
    phone_number: !by_email && to !== null ? login.phone_number : code.phone_number,
    last_sent_at: instant(now),
  });
}

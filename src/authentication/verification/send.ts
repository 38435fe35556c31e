import { recordDeed } from "../../audit/audit.ts";
import type { Client, UserType } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { refuse, refuseField } from "../../errors.ts";
import { takeBudget } from "../../limits/limits.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Authentication } from "../authentication.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import { deliverCode } from "./deliver-code.ts";
import { beginLogin, type Login, resumeLogin } from "./login.ts";
import { type PersonNow, selectPersonNow } from "./people-store.ts";
import { chargeSend } from "./send-limits.ts";
import { type CodeRow, insertLoginSession, type LoginSessionRow, selectLoginSession, updateAwaited } from "./store.ts";
import { boundAudience, type CodePurpose } from "./verification.ts";
import { waitForTurn } from "./wait-for-turn.ts";

export interface SendRequest extends Occasion {
  readonly client: Client;
  /** As the caller named it; a grant names it too. */
  readonly audience: string;
  readonly connection: { readonly name: string; readonly strategy: "email" | "sms" };
  readonly email?: string | undefined;
  readonly phone_number?: string | undefined;
  readonly user_type: UserType;
  /** Whom the caller takes the person for: `user_type`, when it says anything. */
  readonly type?: UserType | undefined;
  /** Chosen by the caller, or of an earlier request: then this is a resend. */
  readonly login_session_id?: string | undefined;
  /** BCP 47; what the request asks for. Where it asks for none, the person's own counts, then the account's. */
  readonly locale?: string | undefined;
  readonly purpose?: CodePurpose | undefined;
  /** The end user's network address as far as it can be known (IPv6: its /64). */
  readonly source: string | null;
  /**
   * Who has sends of their own, that nobody else can spend: a caller that administers the account, a browser that knows
   * the person.
   */
  readonly own: string | null;
  /** The code of this login was closed with all numeric ones of its person, and was not followed by a longer one yet. */
  readonly in_place_of_closed?: boolean | undefined;
}

export interface Sent {
  readonly login_session_id: string;
}

/** How often a lost race for a session id is run again, as the resend that it then is. */
const TRIES = 3;

/**
 * Sends a person their code, or the same one again. Session, code, message and audit event commit together. Known,
 * unknown and closed people write the same rows and cannot be told apart by any answer.
 *
 * @throws 400 invalid_request; 429 too_many_requests, which depends on nothing but what the caller sent.
 */
export async function sendCode({ directory, nudge }: Authentication, request: SendRequest): Promise<Sent> {
  let charged: SendRequest | undefined;
  for (let attempt = 1; attempt <= TRIES; attempt++) {
    const login = (await findResend(directory, request)) ?? (await beginLogin(directory, request));
    charged ??= await stayWithinLimits(directory, request, login);
    const within = charged;
    const sent = await directory.storage.write((tx) => sendIn(tx, directory, within, login)).catch(raced);
    if (!sent) continue;
    // Also where nothing goes out: the look would tell who is known by the time that it takes.
    nudge();
    return { login_session_id: login.session_id };
  }
  throw refuse("temporarily_unavailable", { detail: "the login session was taken again and again", retry_after: 1 });
}

/** A live session of that id. @throws 400 when it belongs to another client or audience. */
async function findResend(directory: Directory, request: SendRequest): Promise<Login | undefined> {
  const { login_session_id, account, client, audience, purpose, now } = request;
  if (login_session_id === undefined) return undefined;
  const { storage } = directory;
  const session = await selectLoginSession(storage.read, account.account_id, login_session_id, instant(now));
  if (!session) return undefined;
  if (session.client_id !== client.id || session.audience !== boundAudience(directory, account, audience, purpose)) {
    throw refuseField("login_session_id", "foreign", "belongs to another client or audience");
  }
  return resumeLogin(request, session);
}

/**
 * Records the first refusal of a window, and not those that follow: a stranger sends as many as they like.
 *
 * @returns the request, with sends of its own where this is one of them.
 * @throws 429 too_many_requests.
 */
async function stayWithinLimits(directory: Directory, request: SendRequest, login: Login): Promise<SendRequest> {
  const { own, refused } = await chargeSend(directory, request, login);
  if (!refused) return own ? request : { ...request, own: null };
  const { storage } = directory;
  const { account, client, now } = request;
  const noted = { account_id: account.account_id, budget: "send_refused", subject: client.id } as const;
  if (refused.first && (await takeBudget(storage, noted, now)).allowed)
    await storage.write((tx) => record(tx, request, login, { code_id: null, withheld: "limit" }));
  throw refuse("too_many_requests", { retry_after: refused.retry_after });
}

async function sendIn(tx: Transaction, directory: Directory, request: SendRequest, begun: Login): Promise<true> {
  await waitForTurn(tx, request.account.account_id, begun.person, request.now);
  const person = await selectPersonNow(tx.db, request.account.account_id, begun.person);
  const login = whereTheyAre(begun, person);
  const delivery = await deliverCode(tx, directory, request, login, person);
  if (delivery.code && !(await keepSession(tx, request, login, delivery.code))) {
    // Everything above is undone with this member of the batch; the next attempt finds the session and resends.
    throw new LoginSessionTaken();
  }
  await record(tx, request, login, { code_id: delivery.code?.id ?? null, withheld: delivery.withheld });
  return true;
}

/** A login waits for the code that was sent last. @returns false when another has taken the session's id. */
async function keepSession(tx: Transaction, request: SendRequest, login: Login, code: CodeRow): Promise<boolean> {
  const session = loginSessionOf(request, login, code);
  if (!login.resumed) return insertLoginSession(tx.db, session);
  if (code.id !== login.code_id) await updateAwaited(tx.db, session);
  return true;
}

/**
 * What its person has left since they were looked up gets nothing, nor does anything of whoever was deleted; a login under
 * way ends when they leave.
 */
function whereTheyAre(login: Login, { lives, email, phone_number }: PersonNow): Login {
  if (login.user_id === null || (login.resumed && lives)) return login;
  return {
    ...login,
    email: login.email?.toLowerCase() === email?.toLowerCase() ? login.email : null,
    phone_number: login.phone_number === phone_number ? login.phone_number : null,
  };
}

class LoginSessionTaken extends Error {}

function raced(error: unknown): false {
  if (error instanceof LoginSessionTaken) return false;
  throw error;
}

function loginSessionOf({ account, client, now }: SendRequest, login: Login, code: CodeRow): LoginSessionRow {
  return {
    account_id: account.account_id,
    id: login.session_id,
    client_id: client.id,
    audience: login.audience,
    person: login.person,
    user_id: login.user_id,
    identifier: login.identifier,
    email: login.email,
    phone_number: login.phone_number,
    code_id: code.id,
    created_at: instant(now),
    expires_at: code.expires_at,
  };
}

async function record(
  tx: Transaction,
  request: SendRequest,
  login: Login,
  { code_id, withheld }: { readonly code_id: string | null; readonly withheld: string | undefined },
): Promise<void> {
  const { client, connection } = request;
  const facts = { client_id: client.id, connection: connection.name, code_id, ...(withheld ? { withheld } : {}) };
  const outcome = withheld === undefined ? "success" : "failure";
  await recordDeed(tx, deedOf(request, { action: "verification_code.sent", outcome, entity: login.user_id, facts }));
}

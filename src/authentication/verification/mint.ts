import { recordDeed } from "../../audit/audit.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { refuse } from "../../errors.ts";
import { budgets } from "../../limits/budgets.ts";
import { chargeAll } from "../../limits/limits.ts";
import type { Secret } from "../../secrets/secret.ts";
import { type Instant, instant, type Transaction } from "../../storage/storage.ts";
import { type CodeFormat, showCode } from "../codes/code.ts";
import { deedOf, type Occasion } from "../occasion.ts";
import { type IssuedCode, issueCode } from "./issue-code.ts";
import { selectMinted } from "./store.ts";

export interface MintRequest extends Occasion {
  readonly client: Client;
  readonly audience: string;
  /** A live user of the client's type, checked by the caller. */
  readonly user_id: string;
  readonly format: CodeFormat;
  /** Why the caller wants it; kept in the audit trail. */
  readonly reason?: string | undefined;
}

export interface MintedCode {
  readonly verification_code: Secret;
  readonly expires_at: Instant;
}

/**
 * Makes a code and hands it to the caller, who delivers it. For one user and client as many may live as the budget `code_mint` says.
 *
 * @throws 429 too_many_requests until the oldest of them expires.
 */
export async function mintCode(directory: Directory, request: MintRequest): Promise<MintedCode> {
  const outcome = await directory.storage.write((tx) => mintIn(tx, directory, request));
  if (typeof outcome === "number") {
    throw refuse("too_many_requests", {
      message: `There are ${budgets.code_mint.limit} live codes for this user and client already.`,
      retry_after: outcome,
    });
  }
  const { row, code } = outcome;
  return { verification_code: showCode(code, request.format), expires_at: row.expires_at };
}

async function mintIn(tx: Transaction, directory: Directory, request: MintRequest): Promise<IssuedCode | number> {
  const { account, client, audience, user_id, format, reason, actor, now } = request;
  const { account_id } = account;
  // Counting is not what limits here; the row makes parallel requests for one user and client follow one another.
  await chargeAll(tx, [{ account_id, budget: "code_mint", subject: `${user_id} ${client.id}` }], now);
  const live = await selectMinted(tx.db, account_id, client.id, user_id, instant(now));
  const [oldest] = live;
  if (oldest && live.length >= budgets.code_mint.limit)
    return Math.max(1, Math.ceil((Date.parse(oldest.expires_at) - now) / 1000));
  const issued = await issueCode(tx.db, directory, {
    account,
    client,
    audience: canonicalAudience(account, directory.public_url, audience),
    person: user_id,
    user_id,
    format,
    connection: null,
    signup: false,
    email: null,
    phone_number: null,
    created_by: actor,
    last_sent_at: null,
    now,
  });
  const about = { client_id: client.id, format, code_id: issued.row.id, ...(reason ? { reason } : {}) };
  await recordDeed(tx, deedOf(request, { action: "verification_code.minted", entity: user_id, facts: about }));
  return issued;
}

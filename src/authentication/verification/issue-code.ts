import type { Account } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { GUESSES_PER_CODE } from "../../limits/budgets.ts";
import { peekBudget } from "../../limits/limits.ts";
import type { Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { type Database, type Instant, instant } from "../../storage/storage.ts";
import {
  type CodeFormat,
  codeDigest,
  deriveCode,
  LINK_LENGTH,
  LONG_TYPABLE_LENGTH,
  newChallenge,
  TYPABLE_LENGTH,
} from "../codes/code.ts";
import { type CodeRow, insertCode } from "./store.ts";

export interface NewCode {
  readonly account: Account;
  readonly client: Client;
  /** Canonical. */
  readonly audience: string;
  readonly person: string;
  readonly user_id: string | null;
  readonly format: CodeFormat;
  /** null: it is handed to the caller. */
  readonly connection: string | null;
  readonly signup: boolean;
  readonly email: string | null;
  readonly phone_number: string | null;
  readonly created_by: string;
  /** null: it goes to nobody yet. */
  readonly last_sent_at: Instant | null;
  readonly now: number;
}

export interface IssuedCode {
  readonly row: CodeRow;
  readonly code: Secret;
}

/** How long a typable code has to be now: longer while the client is being guessed against. */
async function typableLength(db: Database, account_id: string, client_id: string, now: number): Promise<number> {
  const pressure = await peekBudget(db, { account_id, budget: "typable_pressure", subject: client_id }, now);
  return pressure.count > 0 ? LONG_TYPABLE_LENGTH : TYPABLE_LENGTH;
}

/** Makes a code and stores what it is derived from and found by, never the code itself. */
export async function issueCode(db: Database, { master_keys }: Directory, input: NewCode): Promise<IssuedCode> {
  const { account, client, audience, person, format, now } = input;
  const { account_id, settings } = account;
  const length = await lengthOf(db, input);
  const { challenge, code } = newChallenge(master_keys, { account_id, format, length });
  const binding = { account_id, client_id: client.id, audience, person };
  const digest = (kind: CodeFormat, text: Secret) =>
    Buffer.from(codeDigest(master_keys, master_keys.current, binding, kind, text));
  const link = format === "link" ? code : linkOf(input, () => deriveCode(master_keys, challenge, "link"));
  const row: CodeRow = {
    ...challenge,
    id: uuidv7(now),
    client_id: client.id,
    audience,
    person,
    user_id: input.user_id,
    connections: input.connection,
    typed_digest: format === "link" ? null : digest(format, code),
    link_digest: link ? digest("link", link) : null,
    signup: input.signup ? 1 : 0,
    email: input.email,
    phone_number: input.phone_number,
    guesses: 0,
    guess_limit: GUESSES_PER_CODE,
    created_at: instant(now),
    created_by: input.created_by,
    expires_at: instant(now + settings.code_lifetime * 1000),
    last_sent_at: input.last_sent_at,
    spent_at: null,
    redeemed_by: null,
  };
  await insertCode(db, row);
  return { row, code };
}

/** A second rendering of the same challenge, where the client has a page that takes links. */
function linkOf({ client, connection }: NewCode, derive: () => Secret | undefined): Secret | undefined {
  return client.settings.login_uri === null || connection === null ? undefined : derive();
}

async function lengthOf(db: Database, { account, client, format, now }: NewCode): Promise<number> {
  switch (format) {
    case "link":
      return LINK_LENGTH;
    case "numeric":
      return account.settings.numeric_code_length;
    case "typable":
      return typableLength(db, account.account_id, client.id, now);
  }
}

/**
 * The statement that spends a verification code, in two forms: numeric, and strong enough to be presented alone
 * (typable or a link). It finds the row, locks every live code of that person, counts a wrong numeric guess, checks
 * that client, grant and user live, spends the code with its siblings and records it, all or nothing.
 *
 * Locks are taken in one order everywhere, codes by key and then budgets by key, so that no two redemptions wait for each
 * other. Whether a guess is compared is decided on locked rows, never on what the statement saw when it began.
 */
import type { AuditRow } from "../../audit/audit.ts";
import { hotSource } from "../../storage/hot-sources.ts";
import type { HotStatement, Instant } from "../../storage/storage.ts";
import type { GuessWindow } from "./guess-window.ts";
import { REDEEM_NUMERIC_POSTGRES } from "./redeem-numeric-postgres.ts";
import { answersOf, parametersOf } from "./redeem-rows.ts";
import { redeemOnSqlite } from "./redeem-sqlite.ts";
import { redeemStrongPostgres } from "./redeem-strong-postgres.ts";

export interface RedeemInput {
  readonly kind: "typable" | "numeric" | "link";
  readonly account_id: string;
  /** The client's uuid. */
  readonly client_id: string;
  readonly audience: string;
  /** The grant that has to live; empty where none is needed. */
  readonly grant_id: string;
  /** Whom the caller named; always present beside a numeric code. */
  readonly person: string | null;
  /** Their other name, mostly from before they were a user: codes made under it fit too. Empty where there is none. */
  readonly former: string;
  /** One digest for each configured key version, and of a numeric code for each name, in hexadecimal. */
  readonly digests: readonly string[];
  /** Symbols of what was presented. */
  readonly length: number;
  readonly connection: string | null;
  /** Identifies this attempt; lands in `redeemed_by`. */
  readonly attempt: string;
  /** The client may sign up unknown people. */
  readonly signup: boolean;
  readonly now: Instant;
  /** Rows that expired before this instant are forgotten. */
  readonly remembered: Instant;
  /** Wrong numeric guesses of one person in a window. */
  readonly guess_limit: number;
  /** When a window that begins now ends, for each level. */
  readonly window_ends: readonly Instant[];
  /** Recorded with the redemption; its entity is the code. */
  readonly event: AuditRow;
}

/** The row that a presented code named. */
export interface FoundCode {
  readonly id: string;
  readonly client_id: string;
  readonly person: string;
  readonly user_id: string | null;
  readonly format: string;
  readonly connections: string | null;
  readonly signup: boolean;
  readonly email: string | null;
  readonly phone_number: string | null;
  readonly created_at: Instant;
  readonly expires_at: Instant;
  /** As it was when the statement began. */
  readonly spent_at: Instant | null;
  readonly redeemed_by: string | null;
}

export interface FoundUser {
  readonly id: string;
  readonly email: string | null;
  readonly email_verified_at: Instant | null;
  readonly phone_number: string | null;
  readonly phone_verified_at: Instant | null;
  readonly name: string | null;
  /** 1 where a second factor is switched on. */
  readonly second_factor: number;
}

export interface RedeemAnswer {
  /** This attempt, and no other, spent the code. */
  readonly won: boolean;
  readonly code: FoundCode | null;
  /** The code was made for this client, audience, person and connection. */
  readonly fits: boolean;
  /** It was still unspent when this statement had locked it. */
  readonly locked: boolean;
  readonly client_lives: boolean;
  readonly grant_lives: boolean;
  /** The live user of the code. */
  readonly user: FoundUser | null;
  /** The client is being guessed against, and the code was too short to be presented alone: nothing was compared. */
  readonly pressed: boolean;
  /** A numeric guess that matched nothing, and was counted. */
  readonly wrong: boolean;
  /** Every live numeric code of this login is dead by wrong guesses; until when. */
  readonly exhausted_until: Instant | null;
  /** The person's guess window after this attempt; numeric codes only. */
  readonly window: GuessWindow | null;
}

const mode = { kind: "spending" } as const;

const numericStatement: HotStatement<RedeemInput, RedeemAnswer> = {
  name: "redeem_numeric_code",
  source: hotSource(import.meta.url),
  mode,
  key: ({ account_id, person }) => `${account_id} ${person}`,
  sqlite: redeemOnSqlite,
  postgres: { text: REDEEM_NUMERIC_POSTGRES, parameters: parametersOf, answers: answersOf },
};

const strongStatement = (name: string, kind: "typable" | "link"): HotStatement<RedeemInput, RedeemAnswer> => ({
  name,
  source: hotSource(import.meta.url),
  mode,
  key: ({ account_id, digests }) => `${account_id} ${digests[0]}`,
  sqlite: redeemOnSqlite,
  postgres: { text: redeemStrongPostgres(kind), parameters: parametersOf, answers: answersOf },
});

/** Exported for the writer thread, which finds statements among what their module exports. */
export const redeemStatements = {
  numeric: numericStatement,
  typable: strongStatement("redeem_code", "typable"),
  link: strongStatement("redeem_link", "link"),
};

/** A numeric guess takes its turn among all guesses for that person, any other code among those that present it. */
export function redeemStatement({ kind }: RedeemInput): HotStatement<RedeemInput, RedeemAnswer> {
  return redeemStatements[kind];
}

import type { Deed } from "../../audit/audit.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { refuseField } from "../../errors.ts";
import type { Charge } from "../../limits/budgets.ts";
import { chargeAll, giveBackIn, peekBudget } from "../../limits/limits.ts";
import type { Transaction } from "../../storage/storage.ts";
import type { Recipient, Standing } from "./recipient.ts";

/** The range a number is in, for counting how many codes to it are ever entered: calling code and first digits. */
const rangeOf = (number: string) => number.slice(0, 6);

/** A code that went to this number was entered, whatever for: that keeps its range open. */
export function enteredFrom(account_id: string, number: string): Charge {
  return { account_id, budget: "sms_prefix_verified", subject: rangeOf(number) };
}

/** The part of a day's SMS after which those of this standing wait for another day: strangers leave the rest to people. */
const DAILY: Readonly<Record<Standing, number>> = { new: 0.75, known: 0.9, own: 1 };

/** What is sent to a range is counted apart for each standing, so that strangers stop nobody's own number. */
const sentTo = (number: string, standing: Standing) =>
  standing === "known" ? rangeOf(number) : `${standing} ${rangeOf(number)}`;

/** Of the SMS to a range whose budget is used up, so many have to have been entered. */
const SUCCESS_RATE = 0.2;

export interface Reach {
  /** null where the message is for nobody, or withheld. */
  readonly to: string | null;
  /** What the event of the message says of that. */
  readonly told: Pick<Deed, "outcome" | "facts">;
}

/** Whom a message reaches, by the limits of `withhold`. */
export async function reached(
  tx: Transaction,
  account: Account,
  recipient: Recipient,
  now: number,
  holds_code = true,
): Promise<Reach> {
  const withheld = await withhold(tx, account, recipient, now, holds_code);
  if (withheld === undefined) return { to: recipient.to, told: {} };
  return { to: null, told: { outcome: "failure", facts: { withheld } } };
}

/** `country` as a number's prefix tells it. */
function sendsTo({ sms_countries, country: own }: Account["settings"], country: string | null): boolean {
  return country !== null && (sms_countries.length > 0 ? sms_countries : [own]).includes(country);
}

/** Whether an account's SMS go to a country's numbers at all; null for what is of none. */
export const sendsSmsTo = ({ settings }: Account, country: string | null): boolean => sendsTo(settings, country);

/**
 * For whoever sets a number that codes are to go to: that none would ever go there follows from the account's settings alone, so
 * they are told.
 *
 * @throws 400 invalid_request.
 */
export function checkSmsCountry(account: Account, country: string | null, path: string, said = "is"): void {
  if (sendsSmsTo(account, country)) return;
  throw refuseField(path, "country", `${said} of a country that this account sends no SMS to`);
}

/**
 * Whether a message may go out; mail to somebody may. The limits of SMS depend on the record, so nobody is told: the countries an
 * account sends to, its daily budget, and a breaker for ranges of numbers to which codes are sent that nobody enters
 * (toll fraud). What goes to numbers that nobody has yet uses up neither for people's own. What reaches nobody takes
 * nothing, and asks for as much: a stopwatch would see who is known.
 *
 * @param holds_code otherwise there is nothing to enter, and the range is not judged by it.
 * @returns why it is withheld, or undefined.
 */
export async function withhold(
  tx: Transaction,
  { account_id, settings }: Account,
  { strategy, to: number, country, standing }: Recipient,
  now: number,
  holds_code = true,
): Promise<string | undefined> {
  const nobody = number === null ? "nobody to send to" : undefined;
  if (strategy === "email") return nobody;
  const abroad = sendsTo(settings, country) ? undefined : "country not allowed";
  const barred = nobody ?? abroad;
  const counted = barred === undefined && number !== null ? number : "";
  const to_range: Charge = { account_id, budget: "sms_prefix_sent", subject: sentTo(counted, standing) };
  const sent = await peekBudget(tx.db, to_range, now);
  const verified = await peekBudget(tx.db, enteredFrom(account_id, counted), now);
  const stopped = !sent.allowed && verified.count < sent.count * SUCCESS_RATE;
  const why = barred ?? (stopped ? "range of numbers is stopped" : undefined);
  const cost = why === undefined ? 1 : 0;
  const limit = Math.ceil(settings.sms_daily_budget * DAILY[standing]);
  const daily = { account_id, budget: "sms_daily", subject: account_id, limit } as const;
  const [taken] = await chargeAll(tx, [{ ...daily, cost }], now);
  if (why === undefined && !taken?.allowed) {
    // It costs nothing, and nobody can enter it: the day and the range count what goes out.
    await giveBackIn(tx, [daily], now);
    return "daily budget used up";
  }
  if (holds_code) await chargeAll(tx, [{ ...to_range, cost }], now);
  return why;
}

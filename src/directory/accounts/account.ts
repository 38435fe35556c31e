/**
 * Accounts and owners: the tenants of this server. A `P` account is production, a `T` account is a test account whose mail
 * and SMS never leave its sandbox. Three digits name an owner (partner), eight an account; `T112` and `T11200000` are one
 * tenant, and the canonical name is the letter with eight digits.
 *
 * In: an account id in either form. Out: an `Account` with every setting filled in.
 */
import { refuseField } from "../../errors.ts";
import type { AccountSettings } from "./settings.ts";

export interface Account {
  readonly account_id: string;
  readonly name: string;
  readonly settings: AccountSettings;
  readonly created_at: string;
  readonly updated_at: string;
}

export function isTestAccount(account_id: string): boolean {
  return account_id.startsWith("T");
}

const FORM = /^[PT](?:\d{3}|\d{8})$/;

/** `T112` → `T11200000`; a full id stays as it is. @returns undefined when it is neither. */
export function canonicalAccountId(oid: string): string | undefined {
  if (!FORM.test(oid)) return undefined;
  return oid.length === 4 ? `${oid}00000` : oid;
}

/** Either form, as somebody typed it. @throws 400 invalid_request when it is neither. */
export function readAccountId(oid: string, path = "account_id"): string {
  const account_id = canonicalAccountId(oid);
  if (!account_id) throw refuseField(path, "pattern", "is P or T and then three or eight digits");
  return account_id;
}

/** `{PUBLIC_URL}/v1/accounts/{oid}` (RFC 8414 §2, OpenID Connect Core §2). */
export function issuerOf(public_url: string, account_id: string): string {
  return `${public_url}/v1/accounts/${account_id}`;
}

/** What stands before `/v1` in the path of an issuer: empty where PUBLIC_URL is a host alone. */
export const pathOf = (public_url: string) => new URL(public_url).pathname.replace(/\/$/, "");

/** The owner (partner) of an account: its letter and first three digits. */
export const ownerOf = (account_id: string) => `${account_id.slice(0, 4)}00000`;

export const isOwner = (account_id: string) => ownerOf(account_id) === account_id;

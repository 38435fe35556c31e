import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import type { User } from "../../directory/users/user.ts";
import { instant } from "../../storage/storage.ts";
import type { AuthenticatedSubject } from "../subject.ts";
import type { FactorKind, OobChannel, PendingLogin } from "./mfa.ts";
import { type FactorRow, selectFactors, selectFactorsOf } from "./store.ts";

/** A factor that a person can show now. */
export interface Factor {
  readonly kind: FactorKind;
  /** Where a binding code goes. */
  readonly target: string | null;
}

/**
 * The enabled factors of a person, without the channel over which their password was set. Where the account asks
 * customers who log in with a password for a second factor, those who have none of their own use the verified address
 * or number of their record; so do those whose own ones are all taken up by how they came by their password. Who has
 * neither and but one channel keeps it.
 */
export async function factorsOf(
  directory: Directory,
  { account_id, settings }: Account,
  { user_id, password_set_over }: Pick<AuthenticatedSubject, "user_id" | "password_set_over">,
  first: PendingLogin["first"],
): Promise<readonly Factor[]> {
  const rows = await selectFactors(directory.storage.read, account_id, user_id);
  const enabled = rows.filter(({ enabled_at }) => enabled_at !== null);
  const own = enabled.filter(({ kind }) => kind !== password_set_over);
  if (own.length > 0 || (enabled.length === 0 && (first !== "pwd" || !settings.mfa_login))) return own;
  const user = await lookUpUser(directory, account_id, user_id);
  if (!user || user.type === "account_user") return [];
  const channels = [...verifiedChannels(user)]
    .map(([kind, target]) => ({ kind, target }))
    .toSorted((a, b) => Number(b.kind === settings.mfa_login_channel) - Number(a.kind === settings.mfa_login_channel));
  const left = channels.filter(({ kind }) => kind !== password_set_over);
  return left.length === 0 && enabled.length === 0 ? channels : left;
}

/** Whether a second factor is asked of this person after that first one. */
export function asksForFactor(
  { settings }: Account,
  second_factor: boolean,
  first: PendingLogin["first"],
  type: string,
) {
  return second_factor || (first === "pwd" && settings.mfa_login && type !== "account_user");
}

/**
 * Whether there are two factors to this person behind a password: such as they set up, or else the address and the number
 * of their record, one beside the other.
 */
export const hasTwo = (account: Account, user: User): boolean =>
  user.second_factor === 1 || (asksForFactor(account, false, "pwd", user.type) && verifiedChannels(user).size > 1);

/** Whether a factor is what was shown first, or went where that went: then it is no second one. */
export function isShown(
  kind: FactorKind,
  first: PendingLogin["first"],
  { code_sent_over }: Pick<AuthenticatedSubject, "code_sent_over">,
): boolean {
  return kind === first || kind === code_sent_over;
}

/** Where a binding code of this login may go, by channel; never where its first factor went. */
export async function channelsOf(
  directory: Directory,
  account: Account,
  { subject, first, recovery }: Pick<PendingLogin, "subject" | "first" | "recovery">,
): Promise<ReadonlyMap<OobChannel, string>> {
  const channels = new Map<OobChannel, string>();
  const user = recovery ? await lookUpUser(directory, account.account_id, subject.user_id) : undefined;
  if (user) for (const [channel, target] of verifiedChannels(user)) channels.set(channel, target);
  for (const { kind, target } of await factorsOf(directory, account, subject, first)) {
    if (kind !== "totp" && target !== null) channels.set(kind, target);
  }
  return new Map([...channels].filter(([kind]) => !isShown(kind, first, subject)));
}

/** Where a binding code goes when nobody says: the account's own channel first; undefined when there is none. */
export function preferredChannel(
  { settings }: Account,
  channels: ReadonlyMap<OobChannel, string>,
): OobChannel | undefined {
  return channels.has(settings.mfa_login_channel) ? settings.mfa_login_channel : [...channels.keys()][0];
}

function verifiedChannels(user: User): ReadonlyMap<OobChannel, string> {
  const channels = new Map<OobChannel, string>();
  if (user.phone_verified_at !== null && user.phone_number !== null) channels.set("sms", user.phone_number);
  if (user.email_verified_at !== null && user.email !== null) channels.set("email", user.email);
  return channels;
}

/** What `configuration.mfa` shows of several people. */
export async function configurationsOf({ storage }: Directory, account_id: string, user_ids: readonly string[]) {
  const rows = await selectFactorsOf(storage.read, account_id, user_ids);
  const shown = (row: FactorRow | undefined) =>
    row && { enabled: row.enabled_at !== null, updated_at: row.updated_at ?? instant(0) };
  return new Map(
    user_ids.map((id) => {
      const of = (kind: FactorKind) => shown(rows.find((row) => row.user_id === id && row.kind === kind));
      const [sms, totp] = [of("sms"), of("totp")];
      return [id, { mfa: { ...(sms ? { sms } : {}), ...(totp ? { totp } : {}) } }] as const;
    }),
  );
}

import type { Account } from "../../directory/accounts/account.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpUser } from "../../directory/users/find-user.ts";
import { instant } from "../../storage/storage.ts";
import type { FactorKind, Mfa, OobChannel } from "./mfa.ts";
import { type FactorRow, selectFactors, selectFactorsOf } from "./store.ts";

/** A factor that a person can show now. */
export interface Factor {
  readonly kind: FactorKind;
  /** Where a binding code goes. */
  readonly target: string | null;
}

/**
 * The enabled factors of a person; where the account asks its customers for a second factor, also the address or number of
 * their record.
 */
export async function factorsOf(
  { storage }: Pick<Mfa, "storage">,
  directory: Directory,
  { account_id, settings }: Account,
  user_id: string,
): Promise<readonly Factor[]> {
  const rows = (await selectFactors(storage.read, account_id, user_id)).filter(({ enabled_at }) => enabled_at !== null);
  if (rows.length > 0 || !settings.mfa_login) return rows;
  const user = await lookUpUser(directory, account_id, user_id);
  if (!user || user.type === "account_user") return [];
  const channels: readonly Factor[] = [
    { kind: "sms", target: user.phone_verified_at === null ? null : user.phone_number },
    { kind: "email", target: user.email_verified_at === null ? null : user.email },
  ];
  const wanted = channels.filter(({ target }) => target !== null);
  return wanted.toSorted((a) => (a.kind === settings.mfa_login_channel ? -1 : 1));
}

/** The channels that recovery may use, whether or not a second factor is switched on. */
export async function recoveryChannels(
  mfa: Pick<Mfa, "storage">,
  directory: Directory,
  account: Account,
  user_id: string,
): Promise<ReadonlyMap<OobChannel, string>> {
  const { account_id } = account;
  const user = await lookUpUser(directory, account_id, user_id);
  const enabled = await factorsOf(mfa, directory, account, user_id);
  const channels = new Map<OobChannel, string>();
  if (user?.phone_verified_at && user.phone_number) channels.set("sms", user.phone_number);
  if (user?.email_verified_at && user.email) channels.set("email", user.email);
  for (const { kind, target } of enabled) if (kind !== "totp" && target) channels.set(kind, target);
  return channels;
}

/** What `configuration.mfa` shows of several people. */
export async function configurationsOf(
  { storage }: Pick<Mfa, "storage">,
  account_id: string,
  user_ids: readonly string[],
) {
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

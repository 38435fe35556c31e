import { recordDeed } from "../../audit/audit.ts";
import type { LoginChange } from "../../delivery/delivery.ts";
import type { Account } from "../../directory/accounts/account.ts";
import { findAccount } from "../../directory/accounts/find-account.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { holdPerson } from "../../directory/users/hold-user.ts";
import { holdByLogin, type LoginAtHand } from "../../directory/users/logins-ended.ts";
import { noteSecondFactor } from "../../directory/users/note-second-factor.ts";
import { refuse, refuseField } from "../../errors.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import { forgetFactorGuesses } from "../guesses/guess.ts";
import { tellOfChange } from "../messages/tell-of-change.ts";
import type { FactorKind, OobChannel } from "./mfa.ts";
import { openSeed, sealSeed } from "./seed.ts";
import { deleteFactors, type FactorRow, selectFactors, updateStep, updateTarget, upsertFactor } from "./store.ts";
import { base32, matchTotp, newSeed, otpauthUri } from "./totp.ts";

export interface Owner {
  readonly account_id: string;
  readonly user_id: string;
}

/** What account users switch on and off for themselves. */
export type AppOrSms = "totp" | "sms";

export interface Channels {
  readonly sms?: string | undefined;
  readonly email?: string | undefined;
}

/**
 * Sets where binding codes go and switches those channels on; a channel that is not named is switched off. For somebody
 * else than their person: what wrong ones closed is open again.
 *
 * @returns what is other than it was.
 */
export async function setChannels(
  tx: Transaction,
  { account_id, user_id }: Owner,
  channels: Channels,
  now: number,
): Promise<readonly LoginChange[]> {
  const at = instant(now);
  await holdPerson(tx, account_id, user_id);
  const before = await selectFactors(tx.db, account_id, user_id);
  const changes = new Set<LoginChange>();
  for (const kind of ["sms", "email"] as const) {
    const target = channels[kind];
    if (enabledOf(before, kind)?.target !== target)
      changes.add(target === undefined ? "factor_removed" : "factor_added");
    if (target === undefined) await deleteFactors(tx.db, account_id, user_id, [kind]);
    else await upsertFactor(tx.db, { ...factor({ account_id, user_id }, kind, at), target, enabled_at: at });
  }
  await noteFactors(tx, { account_id, user_id });
  await forgetFactorGuesses(tx, { account_id, user_id });
  return [...changes];
}

const enabledOf = (rows: readonly FactorRow[], kind: FactorKind): FactorRow | undefined =>
  rows.find((row) => row.kind === kind && row.enabled_at !== null);

/** Binding codes that went to an address or number which their person has left go to the other one; for whoever holds them. */
export const moveChannel = (
  tx: Transaction,
  owner: Owner,
  channel: OobChannel,
  { from, to }: { readonly from: string; readonly to: string },
  now: number,
): Promise<void> => updateTarget(tx.db, { ...owner, kind: channel, target: from }, to, instant(now));

/** Who changes a factor, and what ends with it, as part of the transaction. */
export interface FactorChange {
  readonly actor: Actor;
  endLogins(tx: Transaction): Promise<void>;
}

/** … where they do so themselves. */
export interface OwnFactorChange extends FactorChange {
  readonly login: LoginAtHand;
}

/** Switches the person's SMS factor on, which ends the logins that have not shown it. `phone_number` in E.164. */
export async function enableSms(
  directory: Directory,
  owner: Owner,
  phone_number: string,
  { actor, login, endLogins }: OwnFactorChange,
): Promise<void> {
  const { storage } = directory;
  const account = await findAccount(directory, owner.account_id);
  const now = storage.now();
  const at = instant(now);
  await storage.write(async (tx) => {
    await holdByLogin(tx, owner, login);
    const before = enabledOf(await selectFactors(tx.db, owner.account_id, owner.user_id), "sms");
    await upsertFactor(tx.db, { ...factor(owner, "sms", at), target: phone_number, enabled_at: at });
    await noteFactors(tx, owner);
    if (before?.target !== phone_number) await tellOfChange(tx, account, owner.user_id, ["factor_added"], now);
    await record(tx, owner, "sms", true, at, actor);
    await endLogins(tx);
  });
}

export interface NewTotp {
  /** base32, as apps take it. */
  readonly secret: Secret;
  readonly uri: Secret;
}

/**
 * A new seed for an authenticator app, of no effect until a password of it was shown.
 *
 * @throws 400 invalid_request while a TOTP factor is switched on.
 */
export async function associateTotp(
  directory: Directory,
  owner: Owner,
  label: string,
  issuer: string,
  login: LoginAtHand,
): Promise<NewTotp> {
  const { storage, master_keys } = directory;
  const seed = newSeed();
  const at = instant(storage.now());
  const row = { ...factor(owner, "totp", at), seed: sealSeed(master_keys, owner, seed) };
  await storage.write(async (tx) => {
    await holdByLogin(tx, owner, login);
    const rows = await selectFactors(tx.db, owner.account_id, owner.user_id);
    if (enabledOf(rows, "totp")) {
      throw refuse("invalid_request", { message: "TOTP is switched on already: switch it off first." });
    }
    await upsertFactor(tx.db, row);
  });
  return { secret: secret(base32(seed)), uri: secret(otpauthUri(seed, label, issuer)) };
}

/**
 * Switches TOTP on with a password of the associated seed, which ends the logins that have not shown it.
 *
 * @throws 400 invalid_request when it is wrong.
 */
export async function enableTotp(
  directory: Directory,
  owner: Owner,
  otp: Secret,
  { actor, login, endLogins }: OwnFactorChange,
): Promise<void> {
  const { storage, master_keys } = directory;
  const account = await findAccount(directory, owner.account_id);
  const now = storage.now();
  const at = instant(now);
  await storage.write(async (tx) => {
    await holdByLogin(tx, owner, login);
    const row = (await selectFactors(tx.db, owner.account_id, owner.user_id)).find(({ kind }) => kind === "totp");
    if (!row) throw refuseField("otp", "unassociated", "goes with a secret: associate TOTP first");
    const step = matchTotp(openSeed(master_keys, row), reveal(otp), now);
    // Spent as a login spends it, which holds the factor until this is done.
    const spent = step !== undefined && (await updateStep(tx.db, owner.account_id, owner.user_id, step));
    if (!spent) throw refuseField("otp", "wrong", "is not the current password");
    await upsertFactor(tx.db, { ...row, enabled_at: row.enabled_at ?? at, last_step: step, updated_at: at });
    await noteFactors(tx, owner);
    if (row.enabled_at === null) await tellOfChange(tx, account, owner.user_id, ["factor_added"], now);
    await record(tx, owner, "totp", true, at, actor);
    await endLogins(tx);
  });
}

/** Switches a factor off, whose owner has shown it. */
export async function disableFactor(
  directory: Directory,
  owner: Owner,
  kind: AppOrSms,
  { actor, login }: Pick<OwnFactorChange, "actor" | "login">,
): Promise<void> {
  const account = await findAccount(directory, owner.account_id);
  await directory.storage.write(async (tx) => {
    await holdByLogin(tx, owner, login);
    await disable(tx, account, owner, kind, directory.storage.now(), actor);
  });
}

/** Switches off a factor that its owner has lost, in their place: all of their logins end. Where none is on, nothing is done. */
export async function takeFactorAway(
  directory: Directory,
  owner: Owner,
  kind: AppOrSms,
  { actor, endLogins }: FactorChange,
): Promise<void> {
  const account = await findAccount(directory, owner.account_id);
  await directory.storage.write(async (tx) => {
    await holdPerson(tx, owner.account_id, owner.user_id);
    const rows = await selectFactors(tx.db, owner.account_id, owner.user_id);
    if (!enabledOf(rows, kind)) return;
    await disable(tx, account, owner, kind, directory.storage.now(), actor);
    await forgetFactorGuesses(tx, owner);
    await endLogins(tx);
  });
}

/** Nobody hears of one that was not on. */
async function disable(
  tx: Transaction,
  account: Account,
  owner: Owner,
  kind: AppOrSms,
  now: number,
  actor: Actor,
): Promise<void> {
  const rows = await selectFactors(tx.db, owner.account_id, owner.user_id);
  await deleteFactors(tx.db, owner.account_id, owner.user_id, [kind]);
  await noteFactors(tx, owner);
  if (enabledOf(rows, kind)) await tellOfChange(tx, account, owner.user_id, ["factor_removed"], now);
  await record(tx, owner, kind, false, instant(now), actor);
}

const factor = ({ account_id, user_id }: Owner, kind: FactorKind, updated_at: string) => ({
  account_id,
  user_id,
  kind,
  target: null,
  seed: null,
  enabled_at: null,
  last_step: 0,
  updated_at,
});

/** For whoever holds the person since before the first change: in this order, or two changes could wait for each other. */
async function noteFactors(tx: Transaction, { account_id, user_id }: Owner): Promise<void> {
  const rows = await selectFactors(tx.db, account_id, user_id);
  await noteSecondFactor(
    tx,
    account_id,
    user_id,
    rows.some(({ enabled_at }) => enabled_at !== null),
  );
}

async function record(tx: Transaction, owner: Owner, factor: FactorKind, enabled: boolean, now: string, actor: Actor) {
  const { account_id, user_id } = owner;
  const facts = { factor, enabled };
  await recordDeed(tx, { account_id, action: "second_factor.changed", entity: user_id, now, actor, facts });
}

import { type Account, canonicalAccountId, readAccountId } from "../../directory/accounts/account.ts";
import { checkAccountSettings } from "../../directory/accounts/check-settings.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import { accountSettings } from "../../directory/accounts/settings.ts";
import {
  checkClientId,
  checkClientSettings,
  checkSettingsLength,
  isUuid,
} from "../../directory/clients/check-settings.ts";
import { takenClientId } from "../../directory/clients/create-client.ts";
import { isDeleted, lookUpClient } from "../../directory/clients/find-client.ts";
import { ClientSettings } from "../../directory/clients/settings.ts";
import type { Directory } from "../../directory/directory.ts";
import { canonicalAudience } from "../../directory/grants/audience.ts";
import { checkAudience, checkFree, checkRoom } from "../../directory/grants/change-grants.ts";
import { listGrants } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { pagesOfRoles } from "../../directory/roles/find-role.ts";
import type { Role } from "../../directory/roles/role.ts";
import { changeOf } from "../../directory/settings.ts";
import { checkHeld } from "../../directory/users/check-held.ts";
import { checkLength } from "../../directory/users/check-length.ts";
import { isUserId } from "../../directory/users/find-user.ts";
import { readEmail, readPhone } from "../../directory/users/identifier.ts";
import { type Fault, Refusal, refuseField } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { UNFIT, UNFIT_SAID } from "../../http/json.ts";
import { hashFault } from "../../secrets/hash-fault.ts";
import { checkSchema } from "../check-schema.ts";
import { identityOf, isHeld, lookUpKnown, type PlannedGrant, type PlannedUser } from "./known.ts";
import { named } from "./named.ts";
import { Plan } from "./plan.ts";
import { faultsOfTwice } from "./twice.ts";

type Check = () => unknown;

/**
 * Reads a file as `carryOut` takes it, by every rule that `carryOut` holds to; numbers are completed with the country that
 * the account has, or will have. `directory` is left out where nothing is installed yet.
 *
 * @throws 400 invalid_request with every fault.
 */
export async function readPlan(document: unknown, public_url: string, directory?: Directory): Promise<Plan> {
  const plan = await checkSchema(Plan, document);
  const unstorable = faultsOfText(plan);
  if (unstorable.length > 0) throw malformed(unstorable);
  const { account, roles = [], clients = [], users = [] } = plan;
  const account_id = canonicalAccountId(account.account_id) ?? "";
  const here = directory && (await lookUpHere(directory, account_id));
  const given = here ? await asHere(here, roles) : roles;
  const { settings = {} } = account;
  const of_settings = await faultsOf(() => named("account.settings", () => checkAccountSettings(account_id, settings)));
  const to_be = here?.account ?? {
    account_id,
    settings: accountSettings(of_settings.length > 0 ? {} : settings),
  };
  const { country } = to_be.settings;
  const checks = [
    () => readAccountId(account.account_id, "account.account_id"),
    ...clients.flatMap((client, at) => checksOfClient(here, client, `clients.${at}`)),
    ...users.flatMap((user, at) => checksOfUser(here, user, country, given, `users.${at}`)),
  ];
  const faults = [...of_settings];
  for (const check of checks) faults.push(...(await faultsOf(check)));
  const people = [];
  for (const user of users) people.push(await identityOf(user, country));
  const canonical = (audience: string) => canonicalAudience(to_be, public_url, audience);
  faults.push(...faultsOfTwice(plan, people, canonical));
  if (faults.length > 0) throw malformed(faults);
  return plan;
}

/** The account, where there is one, and what it has. */
interface Here {
  readonly directory: Directory;
  readonly account: Account;
}

async function lookUpHere(directory: Directory, account_id: string): Promise<Here | undefined> {
  const account = await lookUpAccount(directory, account_id);
  return account && { directory, account };
}

async function faultsOf(check: Check): Promise<readonly Fault[]> {
  try {
    await check();
    return [];
  } catch (error) {
    if (error instanceof Refusal && error.options.errors) return error.options.errors;
    throw error;
  }
}

/** As of a request: neither engine stores the one, and the other has no UTF-8. */
function faultsOfText(value: unknown, path = ""): readonly Fault[] {
  if (typeof value === "string") return UNFIT.test(value) ? [{ path, code: "encoding", message: UNFIT_SAID }] : [];
  if (typeof value !== "object" || value === null) return [];
  return Object.entries(value).flatMap(([name, inner]) => faultsOfText(inner, path === "" ? name : `${path}.${name}`));
}

type PlannedRoles = NonNullable<Plan["roles"]>;

/** As they are once the file is imported: a role that is here is kept as it is. */
async function asHere({ directory, account }: Here, roles: PlannedRoles): Promise<PlannedRoles> {
  const held = new Map<string, Role>();
  const all = { include_deleted: false, limit: Number.POSITIVE_INFINITY };
  if (roles.length > 0)
    for await (const page of pagesOfRoles(directory, account.account_id, all))
      for (const role of page) if (roles.some(({ name }) => name === role.name)) held.set(role.name ?? "", role);
  return roles.map((role) => ({ ...role, scope: [...(held.get(role.name)?.scope ?? role.scope)] }));
}

type PlannedClient = NonNullable<Plan["clients"]>[number];

/** Each finds its own fault. */
function checksOfClient(
  here: Here | undefined,
  { client_id, settings = {}, grants = [] }: PlannedClient,
  place: string,
): readonly Check[] {
  return [
    () => named(place, () => isUuid(client_id) || checkClientId(client_id)),
    () => named(`${place}.settings`, () => checkPlannedSettings(settings)),
    ...grants.map(
      ({ audience }, at) =>
        () =>
          named(`${place}.grants.${at}`, () => checkAudience(audience)),
    ),
    () => named(place, () => checkGrants(here, client_id, grants)),
    async () => {
      if (!here) return;
      const { directory, account } = here;
      const known = await lookUpClient(directory, account.account_id, client_id);
      const gone = await isDeleted(directory, account.account_id, client_id);
      if (gone || (known && known.client_id !== client_id)) await named(place, throwing(takenClientId));
    },
  ];
}

async function checkPlannedSettings(settings: object): Promise<void> {
  // None at all are no change, and no fault.
  if (Object.keys(settings).length === 0) return;
  const given = (await checkSchema(changeOf(ClientSettings), settings)) as Partial<ClientSettings>;
  checkClientSettings(given);
  checkSettingsLength(given);
}

async function checkGrants(here: Here | undefined, client_id: string, grants: readonly PlannedGrant[]): Promise<void> {
  const held = here ? await grantsOf(here, client_id) : [];
  const fresh = grants.filter((grant) => !isHeld(held, grant));
  for (const grant of fresh)
    await named(
      `grants.${grants.indexOf(grant)}`,
      () => here && checkFree(here.account, here.directory.public_url, held, { type: "any", ...grant }),
    );
  if (fresh.length > 0) checkRoom(held, [...held, ...fresh]);
}

async function grantsOf({ directory, account }: Here, client_id: string): Promise<readonly Grant[]> {
  const client = await lookUpClient(directory, account.account_id, client_id);
  return client ? listGrants(directory, client.account_id, { client_id: client.id }) : [];
}

/** Each finds its own fault. */
function checksOfUser(
  here: Here | undefined,
  user: PlannedUser,
  country: string,
  known: PlannedRoles,
  place: string,
): readonly Check[] {
  const { type = "customer", customer_id, email, phone_number, scope = [], roles = [], password_hash } = user;
  const checks: readonly Check[] = [
    () => {
      if (type === "account_user" && !email) throw refuseField("email", "required", "is needed for an account user");
      if (!email && !phone_number && !customer_id)
        throw refuseField("email", "required", "is needed, or phone_number or customer_id");
    },
    () => (email === undefined ? email : readEmail(email)),
    () => (phone_number === undefined ? phone_number : readPhone(phone_number, country)),
    ...roles
      .filter((name) => !known.some((role) => role.name === name))
      .map((name) =>
        throwing(() => refuseField("roles", "unknown", `names the role ${name}, which the file does not have`)),
      ),
    () => {
      const given = (["scope", "roles"] as const).find((name) => user[name] !== undefined);
      if (given && type !== "account_user")
        throw refuseField(given, "account_user", "is for users of type account_user");
    },
    async () => password_hash !== undefined && checkHash(password_hash),
    async () => {
      if (here && (await lookUpKnown(here.directory, here.account, await identityOf(user, country)))) return;
      const given = known.filter(({ name }) => roles.includes(name));
      checkHeld([{ scope }, ...given]);
      checkLength(given);
      if (here && customer_id !== undefined && (await isUserId(here.directory, here.account.account_id, customer_id)))
        throw refuseField("customer_id", "taken", "is taken");
    },
  ];
  return checks.map((check) => () => named(place, check));
}

async function checkHash(password_hash: string): Promise<void> {
  const fault = await hashFault(password_hash);
  const [, costs] = /\$(m=[^$]*)/.exec(password_hash) ?? [];
  if (fault === "costs") throw refuseField("password_hash", fault, `has costs that are not supported: ${costs}`);
  if (fault) throw refuseField("password_hash", fault, "is no hash that a password can be held against");
}

const throwing = (refusal: () => Refusal) => () => {
  throw refusal();
};

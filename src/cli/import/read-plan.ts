import { canonicalAccountId, readAccountId } from "../../directory/accounts/account.ts";
import { checkCountries } from "../../directory/accounts/check-countries.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import { accountSettings } from "../../directory/accounts/settings.ts";
import { checkClientId, checkSettings } from "../../directory/clients/check-settings.ts";
import { ClientSettings } from "../../directory/clients/settings.ts";
import type { Directory } from "../../directory/directory.ts";
import { changeOf } from "../../directory/settings.ts";
import { readEmail, readPhone } from "../../directory/users/identifier.ts";
import { type Fault, Refusal, refuseField } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { checkSchema } from "../check-schema.ts";
import { named } from "./named.ts";
import { Plan } from "./plan.ts";

/**
 * Reads a file as `carryOut` takes it, by every rule that can be held without writing; numbers are completed with the
 * country that the account has, or will have. @throws 400 invalid_request with every fault.
 */
export async function readPlan(directory: Directory, document: unknown): Promise<Plan> {
  const plan = await checkSchema(Plan, document);
  const { account, roles = [], clients = [], users = [] } = plan;
  const here = await lookUpAccount(directory, canonicalAccountId(account.account_id) ?? "");
  const { country } = here?.settings ?? accountSettings(account.settings ?? {});
  const names = roles.map(({ name }) => name);
  const checks = [
    () => readAccountId(account.account_id, "account.account_id"),
    () => named("account.settings", () => checkCountries(account.settings ?? {})),
    ...clients.flatMap(({ client_id, settings = {} }, index) => [
      () => named(`clients.${index}`, () => checkClientId(client_id)),
      () => named(`clients.${index}.settings`, () => checkClientSettings(settings)),
    ]),
    ...users.flatMap((user, index) =>
      checksOf(user, country, names).map((check) => () => named(`users.${index}`, check)),
    ),
  ];
  const faults: Fault[] = [];
  for (const check of checks) faults.push(...(await faultsOf(check)));
  if (faults.length > 0) throw malformed(faults);
  return plan;
}

async function faultsOf(check: () => unknown): Promise<readonly Fault[]> {
  try {
    await check();
    return [];
  } catch (error) {
    if (error instanceof Refusal && error.options.errors) return error.options.errors;
    throw error;
  }
}

async function checkClientSettings(settings: object): Promise<void> {
  // None at all are no change, and no fault.
  if (Object.keys(settings).length === 0) return;
  checkSettings((await checkSchema(changeOf(ClientSettings), settings)) as Partial<ClientSettings>);
}

/** Each finds its own fault. */
function checksOf(
  { customer_id, email, phone_number, roles = [] }: NonNullable<Plan["users"]>[number],
  country: string,
  known: readonly string[],
): readonly (() => unknown)[] {
  const unknown = roles.filter((name) => !known.includes(name));
  return [
    () => {
      if (!email && !phone_number && !customer_id)
        throw refuseField("email", "required", "is needed, or phone_number or customer_id");
    },
    () => (email === undefined ? email : readEmail(email)),
    () => (phone_number === undefined ? phone_number : readPhone(phone_number, country)),
    ...unknown.map((name) => () => {
      throw refuseField("roles", "unknown", `names the role ${name}, which the file does not have`);
    }),
  ];
}

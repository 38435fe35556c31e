import { storePassword } from "../../authentication/passwords/password.ts";
import type { Core } from "../../core.ts";
import { readAccountId } from "../../directory/accounts/account.ts";
import { createAccount } from "../../directory/accounts/create-account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import { isUuid } from "../../directory/clients/check-settings.ts";
import { createClient } from "../../directory/clients/create-client.ts";
import { lookUpClient } from "../../directory/clients/find-client.ts";
import type { Directory } from "../../directory/directory.ts";
import { createGrant } from "../../directory/grants/change-grants.ts";
import { listGrants } from "../../directory/grants/find-grant.ts";
import { createRole } from "../../directory/roles/change-role.ts";
import { pagesOfRoles } from "../../directory/roles/find-role.ts";
import { createUser } from "../../directory/users/create-user.ts";
import { refuse } from "../../errors.ts";
import { secret } from "../../secrets/secret.ts";
import { readyKeys } from "../../tokens/keys/find-key.ts";
import { actor } from "../run.ts";
import { identityOf, isHeld, lookUpKnown, type PlannedUser } from "./known.ts";
import { named } from "./named.ts";
import type { Plan } from "./plan.ts";

export interface Imported {
  readonly account_id: string;
  created: { accounts: number; roles: number; clients: number; grants: number; users: number };
  /** What was here already. */
  kept: number;
}

/** Makes what is missing; `progress` hears how far it is. */
export async function carryOut(
  { directory, tokens, storage }: Core,
  plan: Plan,
  progress: (done: number, of: number) => void,
): Promise<Imported> {
  const account_id = readAccountId(plan.account.account_id, "account.account_id");
  const result: Imported = { account_id, created: { accounts: 0, roles: 0, clients: 0, grants: 0, users: 0 }, kept: 0 };
  const clients = plan.clients ?? [];
  const users = plan.users ?? [];
  const total = 1 + (plan.roles?.length ?? 0) + clients.length + users.length;
  let done = 0;
  const step = () => progress(++done, total);
  if (await lookUpAccount(directory, account_id)) result.kept += 1;
  else {
    const { name = account_id, settings = {} } = plan.account;
    const account = await createAccount(directory, { account_id, name, settings }, actor);
    // Before anybody asks, as for one that is made here.
    await readyKeys(tokens, account_id, account.settings.signing_alg, storage.now());
    result.created.accounts += 1;
  }
  step();
  const roles = new Map<string | null, string>();
  const all = { include_deleted: false, limit: Number.POSITIVE_INFINITY };
  for await (const page of pagesOfRoles(directory, account_id, all))
    for (const { name, id } of page) roles.set(name, id);
  for (const role of plan.roles ?? []) {
    if (roles.has(role.name)) result.kept += 1;
    else {
      roles.set(role.name, (await createRole(directory, account_id, role, actor)).id);
      result.created.roles += 1;
    }
    step();
  }
  for (const [index, client] of clients.entries()) {
    await named(`clients.${index}`, () => importClient(directory, result, client));
    step();
  }
  for (const [index, user] of users.entries()) {
    await named(`users.${index}`, () => importUser(directory, result, user, roles));
    step();
  }
  return result;
}

type PlannedClient = NonNullable<Plan["clients"]>[number];

async function importClient(directory: Directory, result: Imported, planned: PlannedClient): Promise<void> {
  const { account_id } = result;
  const { client_id, client_secret, name, description, settings = {}, grants = [] } = planned;
  let client = await lookUpClient(directory, account_id, client_id);
  if (client) result.kept += 1;
  else {
    const own = client_secret === undefined ? {} : { client_secret: secret(client_secret) };
    // A uuid is the client's own, by which this server would have named it too.
    const called = isUuid(client_id) ? { id: client_id } : { client_id };
    ({ client } = await createClient(directory, account_id, { ...called, name, description, settings, ...own }, actor));
    result.created.clients += 1;
  }
  const held = await listGrants(directory, account_id, { client_id: client.id });
  for (const grant of grants) {
    if (isHeld(held, grant)) result.kept += 1;
    else {
      const { audience, scope, type = "any" } = grant;
      await createGrant(directory, { client, audience, scope, type }, actor);
      result.created.grants += 1;
    }
  }
}

async function importUser(
  directory: Directory,
  result: Imported,
  planned: PlannedUser,
  roles: ReadonlyMap<string | null, string>,
): Promise<void> {
  const { account_id } = result;
  const { type = "customer", password_hash: hash, roles: names, ...fields } = planned;
  const account = await lookUpAccount(directory, account_id);
  if (!account) throw refuse("not_found");
  if (await lookUpKnown(directory, account, await identityOf(planned, account.settings.country))) {
    result.kept += 1;
    return;
  }
  const role_ids = names?.flatMap((name) => roles.get(name) ?? []);
  const within = hash
    ? (tx: Parameters<typeof storePassword>[0], owner: { account_id: string; user_id: string }, now: number) =>
        storePassword(tx, owner.account_id, owner.user_id, { kind: "password", hash }, now)
    : undefined;
  await createUser(directory, account, { ...fields, type, verified: true, role_ids, within }, actor);
  result.created.users += 1;
}

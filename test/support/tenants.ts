/** A tenant written straight through the rooms, for servers that run in other processes. */
import { readConfig } from "../../src/config.ts";
import { openCore } from "../../src/core.ts";
import { call, createTenant, type Latchkey, MASTER_KEY, type Tenant, type TenantOptions } from "./latchkey.ts";

let before: Promise<unknown> = Promise.resolve();

/**
 * One after the other: two stores that one process opens on the same SQLite file wait for each other's lock in the one
 * thread that could release it.
 *
 * `url`: where a server on this database answers; it must run already.
 */
export function createTenantBeside(
  database_url: string,
  url: string,
  public_url: string,
  options: TenantOptions = {},
): Promise<Tenant> {
  const created = before.then(async () => {
    const config = readConfig({ DATABASE_URL: database_url, MASTER_KEY, PUBLIC_URL: public_url });
    const core = await openCore(config, { exclusive: false });
    try {
      return await createTenant({ url, config, server: { core } } as unknown as Latchkey, options);
    } finally {
      await core.close();
    }
  });
  before = created.catch(() => {});
  return created;
}

/** @returns the id of a new customer, made by the tenant itself. */
export async function addPerson({ base, token }: Tenant, email: string): Promise<string> {
  const { status, text, body } = await call(`${base}/customers/users`, { method: "POST", token, json: { email } });
  if (status !== 200) throw new Error(`signing up answered ${status}: ${text}`);
  return body.id;
}

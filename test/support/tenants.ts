/** A tenant written straight through the rooms, for servers that run in other processes. */
import { readConfig } from "../../src/config.ts";
import { openCore } from "../../src/core.ts";
import { call, createTenant, type Latchkey, MASTER_KEY, type Tenant, type TenantOptions } from "./latchkey.ts";

let before: Promise<unknown> = Promise.resolve();

/**
 * One after the other: two stores that one process opens on the same SQLite file wait for each other's lock in the one
 * thread that could release it.
 *
 * `url`: where a server on this database answers; it must run already. `work`: with rooms of this process, and that
 * server for whatever goes by HTTP.
 */
export function besideServer<T>(
  database_url: string,
  url: string,
  public_url: string,
  work: (latchkey: Latchkey) => Promise<T>,
): Promise<T> {
  const done = before.then(async () => {
    const config = readConfig({ DATABASE_URL: database_url, MASTER_KEY, PUBLIC_URL: public_url });
    const core = await openCore(config, { exclusive: false });
    try {
      return await work({ url, config, server: { core } } as unknown as Latchkey);
    } finally {
      await core.close();
    }
  });
  before = done.catch(() => {});
  return done;
}

export const createTenantBeside = (
  database_url: string,
  url: string,
  public_url: string,
  options: TenantOptions = {},
): Promise<Tenant> => besideServer(database_url, url, public_url, (latchkey) => createTenant(latchkey, options));

/** @returns the id of a new customer, made by the tenant itself. */
export async function addPerson({ base, token }: Tenant, email: string): Promise<string> {
  const { status, text, body } = await call(`${base}/customers/users`, { method: "POST", token, json: { email } });
  if (status !== 200) throw new Error(`signing up answered ${status}: ${text}`);
  return body.id;
}

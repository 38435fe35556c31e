/** Many clients of strangers that nobody has used for some days, whether people keep them or nobody does. */
import { randomUUID } from "node:crypto";
import type { Latchkey, Tenant } from "./latchkey.ts";

const DAY = 86_400_000;
/** So many agreements of one person keep clients. */
const KEEP = 20;

export interface Crowd {
  readonly n: number;
  readonly days: number;
  readonly kept: boolean;
}

const rowsOf = async (n: number, make: (from: number, most: number) => Promise<void>) => {
  for (let from = 0; from < n; from += 500) await make(from, Math.min(n - from, 500));
};

/** Like this one, and the longest unused first. @returns their ids. */
export async function addCrowd({ server }: Latchkey, own: Tenant, like: string, crowd: Crowd): Promise<string[]> {
  const { account_id } = own;
  const since = Date.now() - crowd.days * DAY;
  const ids = Array.from({ length: crowd.n }, () => randomUUID());
  await server.core.storage.write(async ({ db }) => {
    const clients = db.selectFrom("clients").selectAll().where("account_id", "=", account_id);
    const row = await clients.where("client_id", "=", like).executeTakeFirstOrThrow();
    const at = (n: number) => new Date(since + n).toISOString();
    await rowsOf(ids.length, async (from, most) => {
      const page = ids.slice(from, from + most);
      const made = page.map((id, n) => ({ ...row, id, client_id: id, untried_since: at(from + n) }));
      await db.insertInto("clients").values(made).execute();
    });
    if (!crowd.kept) return;
    const users = db.selectFrom("users").selectAll().where("account_id", "=", account_id);
    const person = await users.where("id", "=", own.user.id).executeTakeFirstOrThrow();
    const nobody = { email: null, email_canonical: null, phone_number: null, customer_id: null };
    const people = Array.from({ length: Math.ceil(ids.length / KEEP) }, () => randomUUID());
    await rowsOf(people.length, async (from, most) => {
      const page = people.slice(from, from + most).map((id) => ({ ...person, ...nobody, id }));
      await db.insertInto("users").values(page).execute();
    });
    const about = { account_id, audience: "", scope: "[]", host: "agent.example", granted_at: at(0) };
    await rowsOf(ids.length, async (from, most) => {
      const page = ids.slice(from, from + most);
      const agreed = page.map((client_id, n) => {
        return { ...about, client_id, user_id: people[Math.floor((from + n) / KEEP)] ?? "" };
      });
      await db.insertInto("consents").values(agreed).execute();
    });
  });
  return ids;
}

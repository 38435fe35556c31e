/** Time that passes without waiting: instants of rows move into the past, as far as time would have moved away from them. */
import { sql } from "kysely";
import type { Latchkey } from "./latchkey.ts";

const instants = {
  verification_codes: ["created_at", "expires_at", "last_sent_at", "spent_at"],
  login_sessions: ["created_at", "expires_at"],
  budgets: ["window_ends_at"],
  sessions: ["idle_expires_at", "expires_at"],
  session_authorizations: ["expires_at"],
  refresh_families: ["rotated_at", "idle_expires_at", "expires_at"],
  contact_challenges: ["created_at", "expires_at"],
  signups: ["created_at", "expires_at"],
  redeemed_authorization_codes: ["redeemed_at", "expires_at"],
  device_codes: ["created_at", "polled_at", "expires_at"],
  client_registrations: ["fresh_until", "used_at", "expires_at"],
  clients: ["untried_since"],
} as const;

/** `seconds` pass for what one account has in a table; `columns` where only some of its instants are meant. */
export async function letPass<T extends keyof typeof instants>(
  { server }: Latchkey,
  table: T,
  account_id: string,
  seconds: number,
  columns: readonly (typeof instants)[T][number][] = instants[table],
): Promise<void> {
  const { storage } = server.core;
  await storage.write(async ({ db }) => {
    for (const column of columns) {
      const name = sql.ref(column);
      const rows = await sql<{ at: string }>`
        select distinct ${name} as at from ${sql.table(table)}
        where account_id = ${account_id} and ${name} is not null order by ${name}`.execute(db);
      // Oldest first, so that no row is moved twice.
      for (const { at } of rows.rows) {
        const earlier = new Date(Date.parse(at) - seconds * 1000).toISOString();
        await sql`update ${sql.table(table)} set ${name} = ${earlier} where account_id = ${account_id} and ${name} = ${at}`.execute(
          db,
        );
      }
    }
  });
}

/** `seconds` pass since browsers asked for a code: for the codes, and for the logins that wait for them. */
export async function letCodesRest(latchkey: Latchkey, account_id: string, seconds: number): Promise<void> {
  await letPass(latchkey, "verification_codes", account_id, seconds);
  await changeProgress(latchkey, account_id, ({ asked_at, ...more }) => {
    if (asked_at === undefined) return undefined;
    return { ...more, asked_at: new Date(Date.parse(String(asked_at)) - seconds * 1000).toISOString() };
  });
}

/** `seconds` pass since people logged in: for their sessions, and for the requests that they did it for. */
export async function letLoginsRest(latchkey: Latchkey, account_id: string, seconds: number): Promise<void> {
  await latchkey.server.core.storage.write(async ({ db }) => {
    const sessions = db.updateTable("sessions").where("account_id", "=", account_id);
    await sessions.set((eb) => ({ auth_time: eb("auth_time", "-", seconds * 1000) })).execute();
  });
  await changeProgress(latchkey, account_id, ({ fresh, ...more }) =>
    typeof fresh === "number" ? { ...more, fresh: fresh - seconds * 1000 } : undefined,
  );
}

/** `change` returns undefined where nothing changes. */
async function changeProgress(
  { server }: Latchkey,
  account_id: string,
  change: (progress: Readonly<Record<string, unknown>>) => Readonly<Record<string, unknown>> | undefined,
): Promise<void> {
  await server.core.storage.write(async ({ db }) => {
    const about = db.selectFrom("authorization_requests").where("account_id", "=", account_id);
    for (const { id, progress } of await about.select(["id", "progress"]).execute()) {
      const changed = change(JSON.parse(progress));
      if (!changed) continue;
      await db
        .updateTable("authorization_requests")
        .set({ progress: JSON.stringify(changed) })
        .where("account_id", "=", account_id)
        .where("id", "=", id)
        .execute();
    }
  });
}

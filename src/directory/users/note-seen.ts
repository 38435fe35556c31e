import { hotSource } from "../../storage/hot-sources.ts";
import { setForm } from "../../storage/set-form.ts";
import { type HotStatement, type Instant, instant } from "../../storage/storage.ts";
import type { Client } from "../clients/client.ts";
import type { Directory } from "../directory.ts";

interface Seen {
  readonly account_id: string;
  readonly id: string;
  /** Whoever was seen since then is not noted again. */
  readonly since: Instant;
  readonly now: Instant;
}

const form = setForm(["account_id", "id", "since", "now"]);

/** Passes over a person whose row anybody holds, and over one who was deleted. */
export const seenStatement: HotStatement<Seen, null> = {
  name: "note_seen",
  source: hotSource(import.meta.url),
  mode: { kind: "spending" },
  key: ({ account_id, id }) => `${account_id} ${id}`,
  sqlite(db, seen) {
    db.run(
      `update users set last_seen_at = ?4 where account_id = ?1 and id = ?2 and deleted_at is null
        and (last_seen_at is null or last_seen_at < ?3)`,
      ...form.values(seen),
    );
    return null;
  },
  postgres: {
    text: `with ${form.input},
      passed as materialized (
        select u.account_id, u.id, i.now from input i join users u on u.account_id = i.account_id and u.id = i.id
        where u.deleted_at is null and (u.last_seen_at is null or u.last_seen_at < i.since)
        for no key update of u skip locked
      )
      update users u set last_seen_at = p.now from passed p where u.account_id = p.account_id and u.id = p.id`,
    parameters: form.parameters,
    answers: (_rows, inputs) => inputs.map(() => null),
  },
};

/** How often it is noted that somebody was seen; milliseconds. */
const SEEN_RESOLUTION = 60_000;

/**
 * A person of this account got a token. They wait for no note of it, and have it whether that can be made or not. To be called
 * when no further statement of their login takes their row, since a note passes over whoever is held.
 */
export function noteSeen({ storage }: Directory, account_id: string, id: string): void {
  const now = storage.now();
  const seen = { account_id, id, since: instant(now - SEEN_RESOLUTION), now: instant(now) };
  storage.hot(seenStatement, seen).catch(() => {});
}

/** As `noteSeen`, for whoever comes by a client; one of customers notes nobody. */
export function noteSeenAt(directory: Directory, { account_id, settings }: Client, user_id: string): void {
  if (settings.user_type === "account_user") noteSeen(directory, account_id, user_id);
}

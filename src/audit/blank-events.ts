import { sql } from "kysely";
import { type PersonToErase, pagesOf, speaksOf } from "../storage/erasure.ts";
import type { Database, Transaction } from "../storage/storage.ts";

interface FoundEvent {
  readonly id: string;
  readonly entity: string | null;
  readonly actor: string | null;
  /** JSON */
  readonly context: string;
}

/** Where somebody was. */
const PERSONAL = ["ip", "user_agent"];
/** What an event about them calls further events by. */
const LEADING = ["code_id", "sid"];

/**
 * Events that say where a person was. Reads all events of the account that are younger than `since`, an id that sorts
 * by time, twice: a code may have been asked for before anybody knew whose it was.
 */
export async function findPersonalEvents(
  db: Database,
  person: PersonToErase,
  since: string,
): Promise<readonly FoundEvent[]> {
  for await (const event of eventsOf(db, person, since)) {
    if (!person.ids.has(event.entity ?? "")) continue;
    const context = JSON.parse(event.context);
    for (const name of LEADING) if (typeof context[name] === "string") person.ids.add(context[name]);
  }
  const found: FoundEvent[] = [];
  for await (const event of eventsOf(db, person, since)) {
    if (PERSONAL.some((name) => name in JSON.parse(event.context))) found.push(event);
  }
  return found;
}

async function* eventsOf(db: Database, person: PersonToErase, since: string): AsyncGenerator<FoundEvent> {
  const page = (after: string, limit: number) =>
    sql<FoundEvent>`select id, entity, actor, context from audit_events
      where account_id = ${person.account_id} and id > ${after} order by id limit ${limit}`;
  for await (const event of pagesOf(db, page, since))
    if ([event.entity, event.actor, event.context].some((text) => speaksOf(person, text))) yield event;
}

/** Takes out where the person was; what happened stays. */
export async function blankEvents(
  { db }: Transaction,
  account_id: string,
  events: readonly FoundEvent[],
): Promise<number> {
  for (const { id, context } of events) {
    const kept = Object.entries(JSON.parse(context)).filter(([name]) => !PERSONAL.includes(name));
    const blank = { context: JSON.stringify(Object.fromEntries(kept)) };
    await db.updateTable("audit_events").set(blank).where("account_id", "=", account_id).where("id", "=", id).execute();
  }
  return events.length;
}

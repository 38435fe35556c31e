import { blankEvents, findPersonalEvents } from "../audit/blank-events.ts";
import { erasures as authenticationErasures, formerPersons } from "../authentication/erasures.ts";
import { finishEndings } from "../authentication/sessions/endings.ts";
import type { Core } from "../core.ts";
import { eraseUser, soleContact, erasures as userErasures } from "../directory/users/erase-user.ts";
import { removeUser } from "../directory/users/remove-user.ts";
import type { User } from "../directory/users/user.ts";
import { erasures as oauthErasures } from "../oauth/erasures.ts";
import { endLoginsOf } from "../oauth/refresh/end-logins.ts";
import { erasures as outboxErasures } from "../outbox/erasures.ts";
import { uuidv7 } from "../secrets/uuid.ts";
import { collectNames, type Erasure, eraseRows, findSpeaking, type PersonToErase } from "../storage/erasure.ts";
import { epoch, type Transaction } from "../storage/storage.ts";
import { actor, rehearse } from "./run.ts";

const erasures = [...userErasures, ...authenticationErasures, ...oauthErasures, ...outboxErasures];

/** Somebody may have asked for codes so long before they were a user; milliseconds. */
const BEFORE = 2 * 86_400_000;

/** How many rows of each table go, or are blanked. */
export type ErasedRows = Readonly<Record<string, number>>;

/** Does all that `eraseEverywhere` does to the tables, and undoes it. A living user stays alive. */
export async function tryErasing(core: Core, user: User): Promise<ErasedRows> {
  return rehearse(core.storage, await erasing(core, user));
}

/** Deletes a user who still lives, so that what was issued stops, and then erases in one transaction what says who they were. */
export async function eraseEverywhere(core: Core, user: User): Promise<ErasedRows> {
  const { directory } = core;
  if (user.deleted_at === null)
    await removeUser(directory, user, actor, (tx, person) => endLoginsOf(tx, directory, person));
  await finishEndings(directory, { account_id: user.account_id, user_id: user.id });
  return core.storage.write(await erasing(core, user));
}

/** What the transaction does. What takes long to find is found before it, since others wait for it. */
async function erasing(core: Core, user: User): Promise<(tx: Transaction) => Promise<ErasedRows>> {
  const { storage } = core;
  const person = await collectPerson(core, user);
  const since = uuidv7(Math.max(0, epoch(user.created_at) - BEFORE)).slice(0, TIME_OF_ID);
  const events = await findPersonalEvents(storage.read, person, since);
  const speaking = new Map<Erasure, readonly string[]>();
  for (const erasure of erasures) speaking.set(erasure, await findSpeaking(storage.read, erasure, person));
  return async (tx) => {
    const rows: Record<string, number> = { users: 1 };
    for (const erasure of erasures) {
      rows[erasure.table] = await eraseRows(tx.db, erasure, person, speaking.get(erasure) ?? []);
    }
    rows.audit_events = await blankEvents(tx, user.account_id, events);
    await eraseUser(tx, user, storage.now(), actor);
    return rows;
  };
}

/** Letters of an id that say when it was made. */
const TIME_OF_ID = 13;

async function collectPerson({ storage, directory }: Core, user: User): Promise<PersonToErase> {
  const contact = await soleContact(directory, user);
  const spellings = [contact.email, contact.email && user.email, contact.phone_number];
  const person = {
    account_id: user.account_id,
    ids: new Set([user.id, ...formerPersons(directory.master_keys, user, contact)]),
    addresses: new Set(spellings.flatMap((text) => (text === null ? [] : [text.toLowerCase()]))),
  };
  for (const erasure of erasures) await collectNames(storage.read, erasure, person);
  for (const nothing of [person.ids, person.addresses]) nothing.delete("");
  return person;
}

import { inPages, nextTurn } from "../../storage/pages.ts";
import type { Database, Instant } from "../../storage/storage.ts";
import { selectAuthorizationsSince, selectLedTo, selectSessionsOf } from "./store.ts";

/** A person's sessions, as far as they led to one client. */
interface LedTo {
  readonly account_id: string;
  readonly user_id: string;
  readonly client_id: string;
}

/** Rows that are read together. */
const PAGE = 100;

/** Every authorization that they led to there. */
export async function* pagesOfAuthorizations(
  db: Database,
  { account_id, user_id, client_id }: LedTo,
): AsyncGenerator<readonly string[]> {
  const sessions = inPages<{ readonly id: string }>(PAGE, (last) =>
    selectSessionsOf(db, { account_id, user_id }, last?.id ?? "", PAGE),
  );
  for await (const page of sessions) {
    for (const { id: session_id } of page) {
      const led = inPages<{ readonly sid: string }>(PAGE, (last) =>
        selectLedTo(db, { account_id, session_id, client_id }, last?.sid ?? "", PAGE),
      );
      for await (const some of led) yield some.map(({ sid }) => sid);
      // One that led to very much elsewhere is read for nothing.
      await nextTurn();
    }
  }
}

/** … that began since. */
export const authorizationsSince = (db: Database, led: LedTo, since: Instant): Promise<readonly string[]> =>
  selectAuthorizationsSince(db, led, since);

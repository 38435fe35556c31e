import type { Account } from "../../directory/accounts/account.ts";
import { instant, type Storage } from "../../storage/storage.ts";
import { isShut } from "./guess-window.ts";
import { selectGuessWindow } from "./people-store.ts";
import { type CodeRow, selectCode, selectLoginSession } from "./store.ts";

/**
 * What has become of the code that a login waits for: `open` to be entered; `dead` by wrong guesses at it; `closed`, with all
 * numeric codes of its person; or there is `none` any more.
 */
export type Awaited = "open" | "dead" | "closed" | "none";

/** `now` in milliseconds since the epoch. The same work for everybody, known or not. */
export async function awaitedCode(
  { read }: Storage,
  { account_id, settings }: Account,
  login_session_id: string,
  now: number,
): Promise<Awaited> {
  const session = await selectLoginSession(read, account_id, login_session_id, instant(now));
  const code = session && (await selectCode(read, account_id, session.code_id));
  if (!code || code.spent_at !== null || code.expires_at <= instant(now)) return "none";
  const window = await selectGuessWindow(read, account_id, session.person);
  return becameOf(code, isShut(window, settings.numeric_guess_limit, instant(now)));
}

/** Of a code that lives; `shut`: numeric codes of its person are closed. */
export function becameOf({ format, guesses, guess_limit }: CodeRow, shut: boolean): Exclude<Awaited, "none"> {
  if (format !== "numeric") return "open";
  if (shut) return "closed";
  return guesses < guess_limit ? "open" : "dead";
}

import { openInTurn } from "../../storage/in-turn.ts";
import type { Guesser } from "./guess.ts";

const inTurn = openInTurn();

/**
 * Attempts at one person's secrets, one after another in a process. Each counts as a guess until it turns out right, so
 * right ones that came together would use up what wrong ones may.
 *
 * @throws 503 temporarily_unavailable when too many wait, or it waited too long.
 */
export const inLine = <T>(
  { account_id, person }: Pick<Guesser, "account_id" | "person">,
  attempt: () => Promise<T>,
): Promise<T> => inTurn(`${account_id} ${person}`, attempt);

/**
 * Over which connections a code went: `connections` of its row, in which their names stand in the order of first use
 * with a blank between them, and null where it was handed to whoever asked for it. Of a code that went over several
 * nobody can say which message was read. The statements that redeem one read the same text in SQL, as `FITS`.
 */
import type { CodeRow } from "./store.ts";

type Sent = Pick<CodeRow, "connections">;
type Reached = Pick<CodeRow, "connections" | "email" | "phone_number">;

const namesOf = ({ connections }: Sent): readonly string[] => (connections === null ? [] : connections.split(" "));

export const wentOver = (code: Sent, connection: string): boolean => namesOf(code).includes(connection);

export const wentOverAlone = (code: Sent, connection: string): boolean => code.connections === connection;

export const wentOverSeveral = (code: Sent): boolean => namesOf(code).length > 1;

/** What the row says once it has gone over this connection, too. */
export const withConnection = (code: Sent, connection: string): string =>
  [...new Set([...namesOf(code), connection])].join(" ");

/** By SMS and nowhere else: one may have been asked for by mail too, where there was no address to send it to. */
export function wentBySms(code: Reached): boolean {
  if (wentOverAlone(code, "sms")) return true;
  return wentOver(code, "sms") && code.email === null && code.phone_number !== null;
}

/** By mail and by SMS: nobody can say which of them was read. */
export const wentByBoth = (code: Reached): boolean =>
  wentOverSeveral(code) && code.email !== null && code.phone_number !== null;

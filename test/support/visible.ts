/** What a caller can tell two replies apart by. */
import type { Reply } from "./latchkey.ts";

export function visible({ status, headers, text }: Reply) {
  const shown = [...headers].filter(([name]) => !["date", "request-id", "login-session-id"].includes(name));
  // A challenge names the account that the caller named.
  const alike = shown.map(([name, value]) => [name, value.replace(/\/accounts\/[PT]\d+"/, '/accounts/…"')]);
  return { status, headers: alike, text };
}

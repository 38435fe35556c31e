import type { Client } from "../../directory/clients/client.ts";
import type { Secret } from "../../secrets/secret.ts";
import type { Authorization } from "../../tokens/authorization.ts";
import { type IdTokenFields, issueIdToken } from "../../tokens/issue.ts";
import { sessionIn } from "../../tokens/pairwise.ts";
import type { Tokens } from "../../tokens/tokens.ts";

/** Of ID tokens that a client fetches itself; seconds. */
const LIFETIME = 600;

interface SaidOfLogin extends Pick<IdTokenFields, "nonce" | "acr" | "claims"> {
  /** The browser session behind the login, or its own `sid` where there was none; null where nobody knows which. */
  readonly session_id: string | null;
}

/** What `oauth/token` says of a login to the client whose login it is. `now` in milliseconds. */
export async function issueLoginIdToken(
  tokens: Tokens,
  { client_id }: Client,
  authorization: Authorization,
  { session_id, nonce, acr, claims }: SaidOfLogin,
  now: number,
): Promise<Secret> {
  const sid = session_id === null ? undefined : await spokenSid(tokens, authorization, session_id);
  const fields = { audience: client_id, lifetime: LIFETIME, nonce, acr, claims };
  return issueIdToken(tokens, { ...authorization, sid }, fields, now);
}

/** What the session is called in the client's sector; `sid` of the login is called that everywhere. */
const spokenSid = (
  tokens: Tokens,
  { issuing, sid, sector }: Authorization,
  session_id: string,
): Promise<string> | string => (session_id === sid ? sid : sessionIn(tokens, issuing.account_id, sector, session_id));

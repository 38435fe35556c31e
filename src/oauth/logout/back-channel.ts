import { issuerOf } from "../../directory/accounts/account.ts";
import { readClient } from "../../directory/clients/find-client.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import type { Directory } from "../../directory/directory.ts";
import { type Egress, egressFetch } from "../../egress/egress.ts";
import type { OutboxKind } from "../../outbox/attempt.ts";
import { undeliverable } from "../../outbox/outbox.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { signJws } from "../../tokens/jws.ts";
import { committedSigningKey } from "../../tokens/keys/find-key.ts";
import { sessionIn, subjectIn } from "../../tokens/pairwise.ts";
import type { Tokens } from "../../tokens/tokens.ts";

interface LogoutMessage {
  readonly url: string;
  readonly logout_token: Secret;
}

const EVENT = "http://schemas.openid.net/event/backchannel-logout";
/** Seconds; each attempt signs anew. */
const LIFETIME = 120;

/**
 * Tells a client that somebody logged out (OpenID Connect Back-Channel Logout §2.4, §2.5). The token is signed when it
 * is sent, and its jti is that of the message, so a client can tell a repetition. 400 means that the client will never
 * take it.
 */
export function backChannelLogout(
  directory: Directory,
  tokens: Tokens,
  egress: Egress,
): Readonly<Record<string, OutboxKind>> {
  const kind: OutboxKind<LogoutMessage> = {
    async render({ account_id, id, payload }, now) {
      const { client_id, session_id, user_id } = payload as Record<"client_id" | "session_id" | "user_id", string>;
      // Its memory may be older than the choice of whom to tell, and nobody would be told again.
      const client = await readClient(directory, account_id, client_id);
      const url = client?.settings.backchannel_logout_uri;
      if (!client || !url) throw undeliverable("the client is gone, or wants to hear nothing more");
      const sector = sectorOf(client);
      const sub = await subjectIn(tokens, account_id, sector, user_id);
      const sid = await sessionIn(tokens, account_id, sector, session_id);
      const iat = Math.floor(now / 1000);
      const about = { iss: issuerOf(directory.public_url, account_id), sub, aud: client.client_id, sid };
      const claims = { ...about, iat, exp: iat + LIFETIME, jti: id, events: { [EVENT]: {} } };
      const key = await committedSigningKey(tokens, account_id, client.settings.id_token_signed_response_alg, now);
      return { url, logout_token: await signJws(key, "logout+jwt", claims) };
    },
    async send({ url, logout_token }, signal) {
      const body = new URLSearchParams({ logout_token: reveal(logout_token) }).toString();
      const headers = { "content-type": "application/x-www-form-urlencoded" };
      const { status } = await egressFetch(egress, { url, method: "POST", headers, body, signal });
      if (status === 400) throw undeliverable("the client refused it with 400");
      if (status < 200 || status > 299) throw new Error(`the client answered ${status}`);
    },
  };
  return { backchannel_logout: kind as OutboxKind };
}

/**
 * Logging out: by the browser, whose request is understood here and carried out by `pages/logout`, and at the clients,
 * which are told by the back channel (`back-channel.ts`).
 *
 * In: the parameters of RP-Initiated Logout. Out: whom they mean, and where the browser may go on to.
 */
import type { Client } from "../../directory/clients/client.ts";
import type { Directory } from "../../directory/directory.ts";
import { lookUpAt } from "../../directory/judge.ts";
import { refuse } from "../../errors.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import { openTicket, sealTicket, type TicketKind } from "../../secrets/ticket.ts";
import type { Oauth } from "../oauth.ts";
import { type Hint, readHint } from "../read-hint.ts";
import { addToQuery } from "../redirect-address.ts";
import { isMisdescribed, isOutOfReach } from "../registration/client-document.ts";
import { lookUpCurrentClient } from "../registration/find-current-client.ts";

export interface Logout {
  readonly client: Client | undefined;
  /** Whom an ID token is about, where one came. */
  readonly user_id?: string;
  readonly session_id?: string;
  /** Where the browser may go afterwards. */
  readonly address?: Secret;
  /** As in AnswerTo. */
  readonly unchecked?: string;
}

type Meant = Pick<Hint, "user_id" | "sid" | "azp">;

const kindOf = (account_id: string): TicketKind => ({ account_id, purpose: "session", kind: "logout_hint/v1" });

/** Milliseconds for which a person has a page before them that asks whether they want to log out. */
const ASKED_FOR = 600_000;

/**
 * What an ID token that was posted says, for an address, which must not hold the token itself: addresses are kept in
 * histories and logs. @returns undefined for one whose key is gone. @throws 400 invalid_request.
 */
export async function sealHint(oauth: Oauth, account_id: string, id_token_hint: string): Promise<Secret | undefined> {
  const hint = await hintOf(oauth, account_id, id_token_hint);
  if (!hint) return undefined;
  const { user_id, sid, azp } = hint;
  const { storage, master_keys } = oauth.directory;
  return sealTicket(master_keys, kindOf(account_id), { user_id, sid, azp, expires_at: storage.now() + ASKED_FOR });
}

/** @returns undefined for one that is over or none of ours: it says nothing, as if it had not come. */
function openHint(
  { directory: { storage, master_keys } }: Oauth,
  account_id: string,
  ticket: string,
): Meant | undefined {
  const opened = openTicket<Meant & { readonly expires_at: number }>(master_keys, kindOf(account_id), secret(ticket));
  return opened && opened.expires_at > storage.now() ? opened : undefined;
}

async function hintOf(oauth: Oauth, account_id: string, id_token_hint: string): Promise<Hint | undefined> {
  const read = await readHint(oauth, account_id, id_token_hint);
  if (!read) throw refuse("invalid_request", { message: "id_token_hint is not an ID token of this issuer." });
  return read === "key_gone" ? undefined : read;
}

/**
 * Understands a request to log out (OpenID Connect RP-Initiated Logout §2, §3): an ID token of ours says whom and which
 * session it means, and one whose key is gone says nothing; a browser goes on only to an address that the client
 * registered.
 *
 * @throws 400 invalid_request.
 */
export async function readLogout(
  oauth: Oauth,
  account_id: string,
  given: Readonly<Record<string, string | undefined>>,
): Promise<Logout> {
  const { id_token_hint, posted_hint, client_id, post_logout_redirect_uri, state } = given;
  const posted = posted_hint === undefined ? undefined : openHint(oauth, account_id, posted_hint);
  const hint = id_token_hint === undefined ? posted : await hintOf(oauth, account_id, id_token_hint);
  const name = client_id ?? hint?.azp;
  const client = name === undefined ? undefined : await stillDescribed(lookUpCurrentClient(oauth, account_id, name));
  if (name !== undefined && hint?.azp !== undefined && hint.azp !== (client?.client_id ?? name)) {
    throw refuse("invalid_request", { message: "client_id is not the client of id_token_hint." });
  }
  const to = post_logout_redirect_uri;
  const leads_on = client && to !== undefined && (await isRegistered(oauth.directory, client, to));
  return {
    client,
    ...(client && client.origin !== "account" ? { unchecked: client.id } : {}),
    ...(hint ? { user_id: hint.user_id } : {}),
    ...(hint?.sid === undefined ? {} : { session_id: hint.sid }),
    ...(leads_on ? { address: addToQuery(to, [["state", state]]) } : {}),
  };
}

async function isRegistered(directory: Directory, client: Client, address: string): Promise<boolean> {
  const find = ({ settings }: Client) => settings.post_logout_redirect_uris.find((uri) => uri === address);
  return (await lookUpAt(directory, client, find)) !== undefined;
}

/** Whose document is wrong, or cannot be had, is as good as unknown: people can log out all the same. */
const stillDescribed = (client: Promise<Client | undefined>) =>
  client.catch((error: unknown) => {
    if (isMisdescribed(error) || isOutOfReach(error)) return undefined;
    throw error;
  });

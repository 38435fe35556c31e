import type { Account } from "../../directory/accounts/account.ts";
import { type Client, isPublic } from "../../directory/clients/client.ts";
import { homeOf } from "../../directory/clients/home.ts";
import type { Directory } from "../../directory/directory.ts";
import { oneSpelling } from "../../http/one-spelling.ts";
import { type Agreement, hasAgreed, isForeign } from "../consents/consent.ts";
import { type AuthorizationParameters, askedScope } from "./authorization-request.ts";

interface Asking {
  readonly account: Account;
  readonly client: Client;
  readonly user_id: string;
  readonly parameters: AuthorizationParameters;
}

/**
 * Whether people are asked at this client, and what they allow is kept for them to look at and to take back: at
 * whichever is not the account's own, and for a device at any client, since it may be anybody's. Never for a page of ours.
 */
export const asksConsent = (client: Client, { device, own_page }: AuthorizationParameters): boolean =>
  !own_page && (device !== undefined || isForeign(client));

/**
 * Whether the answer goes to whoever on the person's device takes its address: nobody is known by a private-use scheme or a
 * loopback port, and anybody shows a public client's name. Nothing is given silently there (RFC 8252 §8.6), however well the
 * account knows that client.
 */
export const isAnybodys = (
  { settings }: Pick<Client, "settings">,
  { own_page, device, redirect_uri }: Pick<AuthorizationParameters, "own_page" | "device" | "redirect_uri">,
): boolean => !own_page && device === undefined && isPublic(settings) && !redirect_uri.startsWith("https:");

/**
 * Whether this person has to be asked, where people are: until they agreed to all of these scopes, at this host where
 * the client registered itself (RFC 7591 §5).
 */
export async function needsConsent(directory: Directory, asking: Asking): Promise<boolean> {
  const { client, parameters } = asking;
  if (!asksConsent(client, parameters)) return false;
  if (parameters.device !== undefined || parameters.prompt.includes("consent")) return true;
  if (isAnybodys(client, parameters)) return true;
  return !(await hasAgreed(directory, agreementTo(asking)));
}

/** What a person who agrees to a request has agreed to. */
export const agreementTo = ({ account, client, user_id, parameters }: Asking): Agreement => ({
  account_id: account.account_id,
  user_id,
  client_id: client.id,
  audience: oneSpelling(parameters.audience ?? ""),
  scope: askedScope(parameters),
  host: (client.origin === "dynamic" && shownHome(client, parameters)) || "",
});

/**
 * Where a client comes from, as its people read it. A device's redirect_uri is a page of ours and says nothing about it, nor
 * do the client's own, to which nothing goes.
 */
export const shownHome = (client: Client, { device, redirect_uri }: AuthorizationParameters): string | undefined =>
  homeOf(client, device === undefined ? redirect_uri : undefined);

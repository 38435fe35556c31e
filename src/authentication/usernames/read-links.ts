import type { Account } from "../../directory/accounts/account.ts";
import { readEmail, readPhone } from "../../directory/users/identifier.ts";
import { refuseField } from "../../errors.ts";
import { checkSmsCountry, sendsSmsTo } from "../messages/sms-limits.ts";
import type { Channels } from "../mfa/change-factors.ts";
import type { Link, UsernameMfa } from "./username.ts";

export interface ReadLinks {
  /** Of the customer that the name belongs to. */
  readonly customer_id?: string | undefined;
  readonly phone_number?: string | undefined;
  /** Of the number. */
  readonly country?: string | null | undefined;
  readonly email?: string | undefined;
}

/** @throws 400 invalid_request for a link that cannot be read. */
export async function readLinks(links: readonly Link[], { settings }: Account): Promise<ReadLinks> {
  const read: { customer_id?: string; phone_number?: string; country?: string | null; email?: string } = {};
  for (const [index, { rel, href }] of links.entries()) {
    const path = `links.${index}.href`;
    switch (rel) {
      case "customers_user":
        read.customer_id = customerOf(href, path);
        break;
      case "phone_number": {
        const { number, country } = await readPhone(restOf(href, `${SCHEMES[rel]}:`, path), settings.country, path);
        Object.assign(read, { phone_number: number, country });
        break;
      }
      case "email":
        read.email = readEmail(restOf(href, `${SCHEMES[rel]}:`, path), path);
    }
  }
  return read;
}

function customerOf(href: string, path: string): string {
  const [, id] = /\/users\/([^/?#]+)\/?$/.exec(href) ?? [];
  if (id === undefined) throw refuseField(path, "format", "must end in /users/ and the customer's id");
  return decoded(id, path);
}

/** Of a URI of this scheme, which may be in capitals (RFC 3986 §3.1), what follows, decoded (RFC 6068 §2). */
function restOf(href: string, scheme: string, path: string): string {
  if (!href.toLowerCase().startsWith(scheme)) throw refuseField(path, "format", `must begin with ${scheme}`);
  return decoded(href.slice(scheme.length), path);
}

function decoded(text: string, path: string): string {
  try {
    return decodeURIComponent(text);
  } catch {
    throw refuseField(path, "format", "is not valid percent-encoded UTF-8");
  }
}

const SCHEMES = { phone_number: "tel", email: "mailto" } as const;

/** A link that leads to this address or number, whoever reads it: of an address, the signs that RFC 6068 §2 names are encoded. */
export function linkTo(rel: keyof typeof SCHEMES, to: string): Link {
  return { rel, href: `${SCHEMES[rel]}:${encodeURI(to).replace(/[/?#&;=]/g, encodeURIComponent)}` };
}

/**
 * The channels that a name's second factor uses. Where it names none, a number to which no SMS would ever go is left out
 * beside an address. @throws 400 invalid_request when a link for one is missing.
 */
export function channelsFor(mfa: UsernameMfa | null, read: ReadLinks, account: Account): Channels {
  if (!mfa) return {};
  const { phone_number, country = null, email } = read;
  const by_sms = phone_number !== undefined && (email === undefined || sendsSmsTo(account, country));
  const wanted = mfa.oob_channels ?? [...(by_sms ? ["sms" as const] : []), ...(email ? ["email" as const] : [])];
  if (wanted.includes("sms") && !phone_number) throw refuseField("links", "required", "need a phone_number for sms");
  if (wanted.includes("email") && !email) throw refuseField("links", "required", "need an email for email");
  if (wanted.length === 0) throw refuseField("links", "required", "need a phone_number or email where mfa is set");
  return { ...(wanted.includes("sms") ? { sms: phone_number } : {}), ...(wanted.includes("email") ? { email } : {}) };
}

/** As `channelsFor`, for whoever sets them. @throws 400 invalid_request also where such a number is named, or all there is. */
export function channelsSet(mfa: UsernameMfa | null, read: ReadLinks, account: Account): Channels {
  const channels = channelsFor(mfa, read, account);
  if (channels.sms !== undefined) checkSmsCountry(account, read.country ?? null, "links", "lead to a number");
  return channels;
}

import { LONGEST_TOKEN } from "./longest-token.ts";
import type { KeyPurpose, MasterKeys } from "./master-keys.ts";
import { seal, unseal } from "./seal.ts";
import { reveal, type Secret, secret } from "./secret.ts";

/**
 * A ticket is a record that its holder carries and cannot read: JSON, sealed under the account's key, as base64url. Making
 * one writes nothing; that it works once is for whoever takes it back to say.
 */
export interface TicketKind {
  readonly account_id: string;
  readonly purpose: KeyPurpose;
  /** Names what it is, so that one kind is never taken for another. */
  readonly kind: string;
}

const contextOf = ({ account_id, purpose, kind }: TicketKind) => ({ account_id, purpose, subject: kind });

/** A part of a ticket that nobody is to read off its length: it takes as much room as the longest, in bytes of JSON. */
export interface Hidden {
  readonly part: string | null;
  readonly longest: number;
}

export function sealTicket(keys: MasterKeys, kind: TicketKind, content: object, hidden?: Hidden): Secret {
  const blanks = hidden ? Math.max(0, hidden.longest - Buffer.byteLength(JSON.stringify(hidden.part))) : 0;
  const sealed = seal(keys, contextOf(kind), Buffer.from(JSON.stringify(content) + " ".repeat(blanks), "utf8"));
  return secret(Buffer.from(sealed).toString("base64url"));
}

/** @returns undefined when it is none of this account and kind. */
export function openTicket<T>(keys: MasterKeys, kind: TicketKind, ticket: Secret): T | undefined {
  const text = reveal(ticket);
  if (text.length > LONGEST_TOKEN || !/^[A-Za-z0-9_-]{48,}$/.test(text)) return undefined;
  try {
    const bytes = unseal(keys, contextOf(kind), Buffer.from(text, "base64url"));
    return JSON.parse(Buffer.from(bytes).toString("utf8")) as T;
  } catch {
    return undefined;
  }
}

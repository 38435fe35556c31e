/**
 * Messages to people about their codes, and about what somebody did or tried in their name: how each comes into the
 * outbox, who signs it, which language it is in, and whom it may reach (`sms-limits.ts`).
 *
 * In: a code's challenge, or none, and a `Recipient`. Out: a row of the outbox. Its payload says everything but the
 * code, which is derived when the message is sent or shown in the sandbox; its `kind` is `verification`, or `notice`
 * when nobody asked for it.
 */
import type { LoginChange, MessagePurpose } from "../../delivery/delivery.ts";
import type { MasterKeys } from "../../secrets/master-keys.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import type { Instant } from "../../storage/storage.ts";
import { type CodeFormat, deriveCode, showCode } from "../codes/code.ts";

export interface VerificationPayload {
  readonly purpose: MessagePurpose;
  readonly further?: readonly LoginChange[];
  /** Name of the connection, for example `email` or `sms`. */
  readonly connection: string;
  readonly strategy: "email" | "sms";
  /** An address or an E.164 number; null where there is nobody to send to. */
  readonly to: string | null;
  readonly code_id: string;
  /** base64url; null where the message holds no code. */
  readonly challenge_id: string | null;
  readonly key_version: string;
  readonly counter: number;
  readonly format: CodeFormat;
  readonly length: number;
  /** BCP 47 */
  readonly locale: string;
  readonly client_name: string;
  readonly expires_at: Instant;
  /** Seconds; what the message says the code is good for. */
  readonly lifetime: number;
  /** Where a link in the message leads; null when the message has none. */
  readonly login_uri: string | null;
  /** Where the code is entered in a browser, without a port; null where that is not known. */
  readonly host: string | null;
}

export interface RenderedCode {
  /** As a person reads and types it. */
  readonly code: Secret | null;
  /** `login_uri` with the link code in its fragment. */
  readonly link: Secret | null;
}

/** Derives the code of a message. Deterministic: every sending of one payload carries the same code. */
export function renderCode(keys: MasterKeys, account_id: string, payload: VerificationPayload): RenderedCode {
  const { key_version, counter, format, length, login_uri } = payload;
  if (payload.challenge_id === null) return { code: null, link: null };
  const challenge_id = Buffer.from(payload.challenge_id, "base64url");
  const challenge = { account_id, challenge_id, key_version, counter, format, length };
  const link =
    login_uri === null ? null : secret(`${login_uri}#verification_code=${textOf(deriveCode(keys, challenge, "link"))}`);
  return { code: showCode(secret(textOf(deriveCode(keys, challenge))), format), link };
}

function textOf(code: Secret | undefined): string {
  if (!code) throw new Error("a stored challenge gives no code");
  return reveal(code);
}

import { createCipheriv, createDecipheriv } from "node:crypto";
import { base64url, hmac } from "../secrets/digest.ts";
import { uuidOf } from "../secrets/uuid.ts";
import { accountKey } from "./keys/account-key.ts";
import type { Tokens } from "./tokens.ts";

/**
 * Pairwise subjects (OpenID Connect Core §8.1): one person has another `sub` in each sector, and nobody but this server
 * can tell that two of them are one. The user's uuid is one block, enciphered under a key of account and sector: the
 * same every time, no table to look it up in, and never of uuid form, so no other subject can equal it.
 */
async function pairwiseOf(tokens: Tokens, account_id: string, sector: string, id: string, of: Kind): Promise<string> {
  const key = await keyOf(tokens, account_id, sector, of);
  const cipher = createCipheriv("aes-256-ecb", key, null).setAutoPadding(false);
  const block = Buffer.from(id.replaceAll("-", ""), "hex");
  return base64url(Buffer.concat([cipher.update(block), cipher.final()]));
}

/** `session`: the id of a browser's session, by which sectors could tell as well that two people are one. */
type Kind = "pairwise" | "session";

/** Who somebody is in a sector, or to everybody where there is none. */
export function subjectIn(
  tokens: Tokens,
  account_id: string,
  sector: string | undefined,
  user_id: string,
): Promise<string> | string {
  return sector === undefined ? user_id : pairwiseOf(tokens, account_id, sector, user_id, "pairwise");
}

/** What a session is called in a sector: `sid` of ID tokens and logout tokens. */
export function sessionIn(
  tokens: Tokens,
  account_id: string,
  sector: string | undefined,
  session_id: string,
): Promise<string> | string {
  return sector === undefined ? session_id : pairwiseOf(tokens, account_id, sector, session_id, "session");
}

/** @returns undefined when it cannot be one of ours. */
export async function userOfPairwise(
  tokens: Tokens,
  account_id: string,
  sector: string,
  subject: string,
  of: Kind = "pairwise",
): Promise<string | undefined> {
  const block = Buffer.from(subject, "base64url");
  if (block.length !== 16) return undefined;
  const decipher = createDecipheriv("aes-256-ecb", await keyOf(tokens, account_id, sector, of), null);
  decipher.setAutoPadding(false);
  return uuidOf(Buffer.concat([decipher.update(block), decipher.final()]).toString("hex"));
}

/** As userOfPairwise, of a session. */
export const sessionOfPairwise = (tokens: Tokens, account_id: string, sector: string, sid: string) =>
  userOfPairwise(tokens, account_id, sector, sid, "session");

const keyOf = async (tokens: Tokens, account_id: string, sector: string, of: Kind) =>
  hmac(await accountKey(tokens, account_id, "pairwise"), of, sector);

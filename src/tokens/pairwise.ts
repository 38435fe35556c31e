import { createCipheriv, createDecipheriv } from "node:crypto";
import { base64url, hmac } from "../secrets/digest.ts";
import { uuidOf } from "../secrets/uuid.ts";
import { accountKey } from "./keys/account-key.ts";
import type { Tokens } from "./tokens.ts";

/**
 * Pairwise subjects (OpenID Connect Core §8.1): one person has another `sub` in each sector, and nobody but this server can tell that
 * two of them are one. The user's uuid is one block, enciphered under a key of account and sector: the same every time, no table
 * to look it up in, and never of uuid form, so no other subject can equal it.
 */
async function pairwiseOf(tokens: Tokens, account_id: string, sector: string, user_id: string): Promise<string> {
  const cipher = createCipheriv("aes-256-ecb", await keyOf(tokens, account_id, sector), null).setAutoPadding(false);
  const block = Buffer.from(user_id.replaceAll("-", ""), "hex");
  return base64url(Buffer.concat([cipher.update(block), cipher.final()]));
}

/** Who somebody is in a sector, or to everybody where there is none. */
export function subjectIn(
  tokens: Tokens,
  account_id: string,
  sector: string | undefined,
  user_id: string,
): Promise<string> | string {
  return sector === undefined ? user_id : pairwiseOf(tokens, account_id, sector, user_id);
}

/** @returns undefined when it cannot be one of ours. */
export async function userOfPairwise(
  tokens: Tokens,
  account_id: string,
  sector: string,
  subject: string,
): Promise<string | undefined> {
  const block = Buffer.from(subject, "base64url");
  if (block.length !== 16) return undefined;
  const decipher = createDecipheriv("aes-256-ecb", await keyOf(tokens, account_id, sector), null);
  decipher.setAutoPadding(false);
  return uuidOf(Buffer.concat([decipher.update(block), decipher.final()]).toString("hex"));
}

const keyOf = async (tokens: Tokens, account_id: string, sector: string) =>
  hmac(await accountKey(tokens, account_id, "pairwise"), "pairwise", sector);

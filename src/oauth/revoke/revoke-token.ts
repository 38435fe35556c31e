import { recordDeed } from "../../audit/audit.ts";
import type { Client } from "../../directory/clients/client.ts";
import type { Actor, Directory } from "../../directory/directory.ts";
import { checkActsFor } from "../../directory/scopes.ts";
import type { Bearer } from "../../http/contract.ts";
import { revoke } from "../../revocation/revocation.ts";
import { secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { issuedWith } from "../../tokens/verify.ts";
import { lookUpToken } from "../bearer/bearer.ts";
import type { Oauth } from "../oauth.ts";
import { type Family, holderOf, readRefreshToken } from "../refresh/family.ts";
import { lookUpFamily, revokeFamily } from "../refresh/revoke-family.ts";

/**
 * Ends the login of a refresh token; an unknown one is no error (RFC 7009 §2.2).
 *
 * @throws 403 insufficient_scope where the bearer may not act for the client that holds it.
 */
export async function revokeFor(directory: Directory, bearer: Bearer, presented: string, actor: Actor): Promise<void> {
  const family = await familyOf(directory, bearer.account_id, presented);
  if (!family) return;
  checkActsFor(bearer, { id: holderOf(family) });
  await endLogin(directory, family, actor);
}

/**
 * Ends what a client's own token stands for (RFC 7009 §2.1): a refresh token its login, an access token what was issued
 * with it. An unknown one, or another client's, is no error.
 */
export async function revokeOwn(oauth: Oauth, client: Client, presented: string, actor: Actor): Promise<void> {
  const { directory } = oauth;
  const family = await familyOf(directory, client.account_id, presented);
  if (family && holderOf(family) === client.id) return endLogin(directory, family, actor);
  const token = family ? undefined : await lookUpToken(oauth, client.account_id, presented);
  if (token?.client_uuid !== client.id) return;
  const { account_id } = client;
  await revoke(directory.storage, directory.revocations, account_id, issuedWith(token));
  await note(directory, { account_id, entity: token.sid, actor });
}

async function familyOf(directory: Directory, account_id: string, presented: string): Promise<Family | undefined> {
  const read = readRefreshToken(directory.master_keys, account_id, secret(presented));
  return read && (await lookUpFamily(directory, account_id, read.family_id));
}

async function endLogin(directory: Directory, family: Family, actor: Actor): Promise<void> {
  await revokeFamily(directory, family);
  await note(directory, { account_id: family.account_id, entity: family.id, actor });
}

interface Revoked {
  readonly account_id: string;
  readonly entity: string;
  readonly actor: Actor;
}

async function note({ storage }: Directory, revoked: Revoked): Promise<void> {
  await storage.write((tx) => recordDeed(tx, { ...revoked, action: "auth.revoked", now: instant(storage.now()) }));
}

import { recordDeed } from "../../audit/audit.ts";
import { noSuch, refuseField } from "../../errors.ts";
import { seal } from "../../secrets/seal.ts";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { instant, type Transaction } from "../../storage/storage.ts";
import type { Account } from "../accounts/account.ts";
import { holdAccount } from "../accounts/hold-account.ts";
import { isFetchable } from "../clients/callback.ts";
import type { Client } from "../clients/client.ts";
import { type Actor, cacheKey, type Directory } from "../directory.ts";
import { MOST_SCOPES } from "../scopes-schema.ts";
import { type Named, OWN_AUDIENCES } from "./audience.ts";
import { type Asked, matchSame } from "./find-grant.ts";
import type { Grant, GrantOidc, GrantType } from "./grant.ts";
import { secretContext } from "./oidc-secret.ts";
import { deleteGrant, insertGrant, selectGrants, updateScope } from "./store.ts";

export interface NewGrant {
  readonly client: Client;
  readonly audience: string;
  readonly scope: readonly string[];
  readonly type: GrantType;
  readonly oidc?: (GrantOidc & { readonly client_secret: Secret }) | undefined;
}

const LIMIT_PER_CLIENT = 200;
/** Of all that its grants hold: they lie in memory together, and strangers may have them read. */
const CHARACTERS_PER_CLIENT = 100_000;

/** May refuse it, by the account as it is when nobody else changes it. */
type Permit = (account: Account) => void;

/** @throws 400 invalid_request for what no grant names. */
export function checkAudience(audience: string): void {
  if (!audience.startsWith(OWN_AUDIENCES)) return;
  throw refuseField("audience", "reserved", `must not begin with ${OWN_AUDIENCES}, which is the server's own`);
}

/** An issuer is an address (OpenID Connect Discovery §3), and one that can be asked. @throws 400 invalid_request. */
function checkAuthority(authority: string): void {
  if (/^https?:\/\/[^\s?#]+$/i.test(authority) && isFetchable(authority)) return;
  const message = "must be https, or http on a loopback address, without a user name, query or fragment";
  throw refuseField("oidc.authority", "https", message);
}

type Held = readonly (Pick<Grant, "audience" | "scope"> & Partial<Pick<Grant, "oidc">>)[];

/** Characters, by the field of a grant that they stand in. */
function charactersOf(grants: Held) {
  const lengthOf = (texts: readonly string[]) => texts.reduce((sum, text) => sum + text.length, 0);
  return {
    scope: lengthOf(grants.flatMap(({ scope }) => scope)),
    audience: lengthOf(grants.map(({ audience }) => audience)),
    oidc: lengthOf(
      grants.flatMap(({ oidc }) => (oidc ? [oidc.client_id, oidc.authority, ...(oidc.trusted_domains ?? [])] : [])),
    ),
  };
}

/**
 * @param before The grants of a client, which may hold more than that from earlier.
 * @throws 400 invalid_request when a client may not have these after them, told of what they have most more of.
 */
export function checkRoom(before: Held, after: Held): void {
  if (after.length > LIMIT_PER_CLIENT)
    throw refuseField("client_id", "too_many", `has ${LIMIT_PER_CLIENT} grants, which is the limit`);
  const [had, has] = [charactersOf(before), charactersOf(after)];
  const more = (["scope", "audience", "oidc"] as const).map((field) => ({ field, by: has[field] - had[field] }));
  const sum = has.scope + has.audience + has.oidc;
  if (sum <= CHARACTERS_PER_CLIENT || more.reduce((all, { by }) => all + by, 0) <= 0) return;
  const field = more.toSorted((a, b) => b.by - a.by)[0]?.field ?? "scope";
  const told = CHARACTERS_PER_CLIENT.toLocaleString("en");
  throw refuseField(field, "too_many", `a client's grants may hold ${told} characters together`);
}

/** @throws 400 invalid_request where a grant is there already for the same audience and type. */
export function checkFree(account: Named, public_url: string, held: readonly Grant[], grant: Asked): void {
  const there = matchSame(account, public_url, held, grant);
  if (!there) return;
  const message = `has grant ${there.id} of type ${there.type} for this audience already: add the scopes to that one`;
  throw refuseField("audience", "taken", message);
}

/** @throws 400 invalid_request. */
export function createGrant(directory: Directory, input: NewGrant, actor: Actor, permit?: Permit): Promise<Grant> {
  return directory.storage.write((tx) => createGrantIn(tx, directory, input, actor, permit));
}

/** Part of a transaction. @throws 400 invalid_request. */
export async function createGrantIn(
  tx: Transaction,
  directory: Directory,
  input: NewGrant,
  actor: Actor,
  permit?: Permit,
): Promise<Grant> {
  const { client, audience, scope, type, oidc } = input;
  if (oidc && type !== "authorization_code") {
    throw refuseField("type", "oidc", "must be authorization_code where oidc is set");
  }
  checkAudience(audience);
  if (oidc) checkAuthority(oidc.authority);
  const { account_id } = client;
  const now = directory.storage.now();
  const id = uuidv7(now);
  const created_at = instant(now);
  const sealed = oidc
    ? seal(directory.master_keys, secretContext(account_id, id), Buffer.from(reveal(oidc.client_secret), "utf8"))
    : null;
  const row = {
    account_id,
    id,
    client_id: client.id,
    audience,
    scope: [...new Set(scope)],
    type,
    oidc: oidc ? publicOidc(oidc) : null,
    oidc_client_secret: sealed,
    created_at,
    created_by: actor.id,
  };
  const { account } = await holdAccount(tx, account_id, created_at);
  permit?.(account);
  const before = await selectGrants(tx.db, account_id, { client_id: client.id });
  if (!oidc) checkFree(account, directory.public_url, before, row);
  checkRoom(before, [...before, row]);
  await insertGrant(tx.db, row);
  const facts = { client_id: client.id };
  await recordDeed(tx, { account_id, action: "grant.created", entity: id, now: created_at, actor, facts });
  tx.onDisk(() => directory.grants.forget(cacheKey(account_id, client.id)));
  const { oidc_client_secret: _sealed, ...grant } = row;
  return { ...grant, updated_at: created_at, deleted_at: null, deleted_by: null };
}

function publicOidc({ client_id, authority, trusted_domains }: GrantOidc): GrantOidc {
  return { client_id, authority, ...(trusted_domains ? { trusted_domains } : {}) };
}

/** What says, of a grant as tokens name it, that its scopes have changed: those that hold what it gives no more end. */
export const changedSubject = (named: string) => `changed:${named}`;

/** What names, in tokens, that the account's `public_client_grants` gave what they hold at an audience. */
export const publicGrantAt = (audience: string) => `public_grant:${audience}`;

/** What says that those have changed, at whatever audience. */
export const PUBLIC_GRANTS_CHANGED = changedSubject("public_grants");

/** What says that a name was taken from the account API's, so that grants for it are for another API. */
export const NAMES_TAKEN = changedSubject("api_audiences");

/** Adds the scopes to the grant that is there for the same, or makes it. @throws 400 invalid_request. */
export function addToGrant(directory: Directory, input: Omit<NewGrant, "oidc">, actor: Actor): Promise<Grant> {
  const { client, scope } = input;
  return directory.storage.write(async (tx) => {
    const { account } = await holdAccount(tx, client.account_id, instant(directory.storage.now()));
    const held = await selectGrants(tx.db, client.account_id, { client_id: client.id });
    const there = matchSame(account, directory.public_url, held, input);
    return there
      ? changeScopeIn(tx, directory, there, [...there.scope, ...scope], actor)
      : createGrantIn(tx, directory, input, actor);
  });
}

/** Takes scopes away from what the grant holds by then. Tokens that hold one of them end. @throws 404 not_found. */
export function takeFromGrant(
  directory: Directory,
  { account_id, client_id, id }: Grant,
  taken: readonly string[],
  actor: Actor,
): Promise<Grant> {
  return directory.storage.write(async (tx) => {
    await holdAccount(tx, account_id, instant(directory.storage.now()));
    const there = (await selectGrants(tx.db, account_id, { client_id })).find((one) => one.id === id);
    if (!there) throw noSuch("grant");
    const scope = there.scope.filter((one) => !taken.includes(one));
    return changeScopeIn(tx, directory, there, scope, actor);
  });
}

/** Tokens that hold a scope that is taken end, and no others. @throws 400 invalid_request, 404 not_found. */
export function changeScope(
  directory: Directory,
  grant: Grant,
  scope: readonly string[],
  actor: Actor,
  permit?: Permit,
): Promise<Grant> {
  return directory.storage.write((tx) => changeScopeIn(tx, directory, grant, scope, actor, permit));
}

async function changeScopeIn(
  tx: Transaction,
  directory: Directory,
  grant: Grant,
  scope: readonly string[],
  actor: Actor,
  permit?: Permit,
): Promise<Grant> {
  const { account_id, id, client_id } = grant;
  const now = instant(directory.storage.now());
  const distinct = [...new Set(scope)];
  if (distinct.length > MOST_SCOPES && distinct.length > grant.scope.length)
    throw refuseField("scope", "too_many", `would be ${distinct.length} of one grant; ${MOST_SCOPES} is the limit`);
  permit?.((await holdAccount(tx, account_id, now)).account);
  const before = await selectGrants(tx.db, account_id, { client_id });
  checkRoom(
    before,
    before.map((one) => (one.id === id ? { ...one, scope: distinct } : one)),
  );
  if (!(await updateScope(tx.db, account_id, id, distinct, now))) throw noSuch("grant");
  await directory.revocations.record(tx, account_id, [changedSubject(`grant:${id}`)]);
  await recordDeed(tx, { account_id, action: "grant.changed", entity: id, now, actor, facts: { client_id } });
  tx.onDisk(() => directory.grants.forget(cacheKey(account_id, client_id)));
  return { ...grant, scope: distinct, updated_at: now };
}

/**
 * Deletes a grant: nothing new is issued under it from the moment this resolves, and what was issued stops.
 *
 * @throws 404 not_found.
 */
export async function removeGrant(directory: Directory, grant: Grant, actor: Actor): Promise<Grant> {
  const { account_id, id, client_id } = grant;
  const now = instant(directory.storage.now());
  const deleted = await directory.storage.write(async (tx) => {
    const row = await deleteGrant(tx.db, account_id, id, actor.id, now);
    if (!row) throw noSuch("grant");
    await directory.revocations.record(tx, account_id, [`grant:${id}`]);
    await recordDeed(tx, { account_id, action: "grant.deleted", entity: id, now, actor, facts: { client_id } });
    return row;
  });
  directory.grants.forget(cacheKey(account_id, client_id));
  return deleted;
}

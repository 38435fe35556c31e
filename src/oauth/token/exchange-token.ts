import { randomUUID } from "node:crypto";
import { type RequestFacts, recordDeed } from "../../audit/audit.ts";
import { knownUntil, useStatement } from "../../authentication/used-tokens.ts";
import { type Account, issuerOf, ownerOf } from "../../directory/accounts/account.ts";
import { lookUpAccount } from "../../directory/accounts/find-account.ts";
import { actorFrom } from "../../directory/actor.ts";
import { findClientById } from "../../directory/clients/find-client.ts";
import { isAccountApi, isAccountUrl } from "../../directory/grants/audience.ts";
import { listGrants, matchGrant } from "../../directory/grants/find-grant.ts";
import type { Grant } from "../../directory/grants/grant.ts";
import { type Refusal, refuse, unlessRefused } from "../../errors.ts";
import { instant } from "../../storage/storage.ts";
import { readExchangeToken } from "../../tokens/exchange-token.ts";
import { type IssuedAccessToken, issueAccessToken } from "../../tokens/issue.ts";
import { issuingOf } from "../authorization-for.ts";
import { challengeOf } from "../bearer/challenge.ts";
import { bearerToken } from "../bearer/find-token.ts";
import { checkBound } from "../dpop/check-bound.ts";
import type { Oauth } from "../oauth.ts";
import { givenBy } from "../scopes.ts";

/** A partner's token for its merchant lives no longer; seconds. */
const LONGEST = 3_600;

/**
 * A partner's client, with its exchange token, gets a token of this merchant's account: the scopes of its own grant,
 * which lives in the partner's account and names the account URL of this merchant or, where none does, of the partner.
 * Which of the two URLs `audience` is makes no difference, or a grant for one merchant would bound nothing. No further name
 * that the merchant gave its API counts: whoever made a grant for that one gave no scopes of an account. Of these scopes what a
 * narrowed token of the partner's covers, where the exchange token came of one.
 *
 * @throws 401 invalid_token; 403 unauthorized_client.
 */
export async function redeemExchangeToken(
  { directory, tokens }: Oauth,
  account_id: string,
  authorization: string,
  audience: string,
  facts: RequestFacts,
): Promise<IssuedAccessToken> {
  const { storage, public_url, revocations } = directory;
  const now = storage.now();
  const token = bearerToken(authorization);
  const merchant = await lookUpAccount(directory, account_id);
  const partner = merchant && (await lookUpAccount(directory, ownerOf(account_id)));
  if (!merchant || !partner || !merchant.settings.partner_access) throw invalid();
  const signer = { account_id: partner.account_id, issuer: issuerOf(public_url, partner.account_id) };
  const endpoint = `${issuerOf(public_url, account_id)}/auth/token`;
  const exchange = await readExchangeToken(tokens, signer, endpoint, token, now);
  if (!exchange) throw invalid();
  revocations.checkAlive(partner.account_id, [`client:${exchange.client_uuid}`]);
  const client = await findClientById(directory, partner.account_id, exchange.client_uuid).catch(
    unlessRefused("not_found"),
  );
  if (!client) throw invalid();
  checkBound(client);
  const grants = await listGrants(directory, partner.account_id, { client_id: client.id });
  const of_merchant = grants.filter((grant) => isAccountUrl(account_id, public_url, grant.audience));
  const grantOf = (account: Account, among: readonly Grant[]) =>
    matchGrant(directory, account, among, issuerOf(public_url, account.account_id), "client_credentials");
  const grant = grantOf(merchant, of_merchant) ?? grantOf(partner, grants);
  const named = isAccountApi(partner, public_url, audience) || isAccountApi(merchant, public_url, audience);
  if (!grant || !named) {
    throw refuse("unauthorized_client", {
      message: "The partner's client holds no grant of type client_credentials or any for this account.",
    });
  }
  const sid = randomUUID();
  await spend(directory, merchant, partner, { exchange, client_id: client.id, sid, facts, now });
  return issueAccessToken(
    tokens,
    {
      issuing: issuingOf(directory, merchant),
      sid,
      subject: { type: "client", id: client.id },
      client_id: client.client_id,
      client_uuid: client.id,
      grant_id: grant.id,
      audience: isAccountApi(merchant, public_url, audience) ? audience : issuerOf(public_url, account_id),
      scope: exchange.within === undefined ? grant.scope : grant.scope.filter(givenBy(exchange.within, true)),
      id_token_alg: client.settings.id_token_signed_response_alg,
      act: { iss: signer.issuer, sub: client.id, account_id: partner.account_id },
      lifetime: LONGEST,
    },
    now,
  );
}

interface Spending {
  readonly exchange: { readonly jti: string; readonly expires_at: number };
  readonly client_id: string;
  readonly sid: string;
  readonly facts: RequestFacts;
  readonly now: number;
}

/** Once; audited in both accounts. */
async function spend(
  { storage }: Oauth["directory"],
  { account_id }: Account,
  partner: Account,
  { exchange, client_id, sid, facts, now }: Spending,
): Promise<void> {
  const at = instant(now);
  const deed = { action: "auth.partner_token", now: at, actor: actorFrom(client_id, facts), facts: { sid } };
  await storage.write(async (tx) => {
    const used = { account_id, id: exchange.jti, expires_at: knownUntil(exchange.expires_at * 1000) };
    const [first] = await tx.hot(useStatement, [used]);
    if (!first) throw invalid();
    await recordDeed(tx, { ...deed, account_id, entity: partner.account_id });
    await recordDeed(tx, { ...deed, account_id: partner.account_id, entity: account_id });
  });
}

function invalid(): Refusal {
  return challengeOf(refuse("invalid_token", { message: "The exchange token is not valid here, or was used." }));
}

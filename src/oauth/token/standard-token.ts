/**
 * `oauth/token` (RFC 6749 §3.2), once its client is known: which grant_type goes where, and what the body has to hold
 * for it. Each way is a file of its own, shared with `auth/token` where both have it.
 *
 * In: a client that has shown who it is, and the body. Out: tokens, or a refusal.
 */
import type { RequestFacts } from "../../audit/audit.ts";
import { checkMayUse } from "../../directory/clients/client.ts";
import type { ProvenClient } from "../../directory/clients/secret.ts";
import { type ClientSettings, DEVICE_CODE, EXCHANGE } from "../../directory/clients/settings.ts";
import { judgeClient } from "../../directory/judge.ts";
import { refuse, refuseField } from "../../errors.ts";
import { type Secret, secret } from "../../secrets/secret.ts";
import type { IssuedAccessToken } from "../../tokens/issue.ts";
import { pollDevice } from "../device/poll-device.ts";
import type { Proof } from "../dpop/dpop.ts";
import { namedAudience } from "../named-audience.ts";
import type { Oauth } from "../oauth.ts";
import { issueClientCredentials } from "./client-credentials.ts";
import { exchangeSubject } from "./exchange-subject.ts";
import { redeemAuthorizationCode } from "./redeem-code.ts";
import { refreshLogin } from "./refresh-login.ts";
import type { OAuthTokenRequest } from "./schema.ts";

export interface StandardTokens extends IssuedAccessToken {
  readonly id_token?: Secret;
  readonly refresh_token?: Secret;
  readonly issued_token_type?: string;
}

/** @throws as each way does; 400 unsupported_grant_type, invalid_request. */
export async function standardToken(
  oauth: Oauth,
  known: ProvenClient,
  body: OAuthTokenRequest,
  facts: RequestFacts,
  proof?: Proof,
): Promise<StandardTokens> {
  const { grant_type, redirect_uri, code_verifier, scope } = body;
  const audience = namedAudience(body);
  const mayUse = (type: ClientSettings["grant_types"][number]) =>
    judgeClient(oauth.directory, known, (client) => checkMayUse(client, type));
  switch (grant_type) {
    case "authorization_code": {
      const code = required(body.code, "code");
      const client = await mayUse("authorization_code");
      return redeemAuthorizationCode(oauth, { client, code, redirect_uri, code_verifier, audience, proof, facts });
    }
    case "refresh_token": {
      const client = await mayUse("refresh_token");
      const wanted = { surface: "oauth", scope, audience, proof } as const;
      return refreshLogin(oauth, client, required(body.refresh_token, "refresh_token"), facts, wanted);
    }
    case "client_credentials":
      return issueClientCredentials(
        oauth,
        { client: known, audience, ungranted: "invalid_target", scope, proof },
        facts,
      );
    case DEVICE_CODE: {
      const client = await mayUse(DEVICE_CODE);
      const code = await pollDevice(oauth, client, required(body.device_code, "device_code"));
      return redeemAuthorizationCode(oauth, { client, code, audience, proof, facts, polled: true });
    }
    case EXCHANGE: {
      const { subject_token_type, requested_token_type } = body;
      const subject_token = required(body.subject_token, "subject_token");
      const names_actor = body.actor_token !== undefined || body.actor_token_type !== undefined;
      const about = { client: known, subject_token, subject_token_type, requested_token_type, names_actor };
      return exchangeSubject(oauth, { ...about, audience, scope, proof }, facts);
    }
    default:
      throw refuse("unsupported_grant_type");
  }
}

function required(value: string | undefined, name: string): Secret {
  if (value === undefined) throw refuseField(name, "required", "is required");
  return secret(value);
}

/**
 * How a client proves at an endpoint who it is (RFC 6749 §2.3): by a secret, by something it signed, or, where it is
 * public, by its name alone.
 *
 * In: the header, and the credentials of the form. Out: the client, with the secret that it showed; or 401 invalid_client.
 */
import { checkOrigin } from "../../directory/clients/allowed-origins.ts";
import { isPublic } from "../../directory/clients/client.ts";
import { authenticateClient, type ProvenClient, type Sender } from "../../directory/clients/secret.ts";
import { judgeClient } from "../../directory/judge.ts";
import { blame } from "../../egress/documents.ts";
import { refuse } from "../../errors.ts";
import { decode } from "../../http/strict-form.ts";
import { secret } from "../../secrets/secret.ts";
import { smallUuid } from "../../secrets/uuid.ts";
import type { Oauth } from "../oauth.ts";
import { isMisdescribed } from "../registration/client-document.ts";
import { lookUpCurrentClient } from "../registration/find-current-client.ts";
import { type Endpoint, matchAssertion } from "./client-assertion.ts";

/** Credentials in the form. */
export interface FormCredentials {
  readonly client_id?: string | undefined;
  readonly client_secret?: string | undefined;
  readonly client_assertion?: string | undefined;
  readonly client_assertion_type?: string | undefined;
}

/** A request, with the headers that say who calls, and from which page where one does. */
export interface ClientRequest extends Sender {
  readonly headers: { readonly authorization?: string | undefined; readonly origin?: string | undefined };
}

/**
 * Who calls: Basic, form credentials, a signed assertion, or the bare client_id of a public client (RFC 6749 §2.3, RFC
 * 7523 §2.2); one way only, and the one that the client is registered for. A secret that comes by Basic is tried as
 * sent and form-decoded, because clients do either.
 *
 * @throws 401 invalid_client; 400 invalid_request when credentials come in two ways at once; 403 unauthorized_client
 *   for a page that the client does not list; 400 client_unreachable while its document or keys do not answer.
 */
export async function authenticate(
  oauth: Pick<Oauth, "directory" | "documents">,
  request: ClientRequest,
  form: FormCredentials,
  endpoint: Endpoint = "token",
): Promise<ProvenClient> {
  const { directory } = oauth;
  const client = await prove(oauth, request, form, endpoint).catch((error: unknown) => {
    throw isMisdescribed(error) ? blame("invalid_client", error) : error;
  });
  await judgeClient(directory, client, (current) => checkOrigin(directory, current, request.headers.origin));
  return client;
}

async function prove(
  oauth: Pick<Oauth, "directory" | "documents">,
  request: ClientRequest,
  form: FormCredentials,
  endpoint: Endpoint,
): Promise<ProvenClient> {
  const { authorization } = request.headers;
  const { client_id, client_secret, client_assertion } = form;
  const ways = [authorization, client_secret, client_assertion].filter((way) => way !== undefined);
  if (ways.length > 1) throw refuse("invalid_request", { message: "Credentials must come in one way only." });
  if (authorization === undefined) return authenticateByForm(oauth, request, form, endpoint);
  const client = await authenticateBasic(oauth, request);
  if (client_id !== undefined && client_id !== client.client_id && client_id !== client.id)
    throw refuse("invalid_client");
  return client;
}

async function authenticateByForm(
  oauth: Pick<Oauth, "directory" | "documents">,
  request: ClientRequest,
  { client_id, client_secret, client_assertion, client_assertion_type }: FormCredentials,
  endpoint: Endpoint,
): Promise<ProvenClient> {
  const { account_id } = request;
  if (client_assertion !== undefined) {
    if (client_assertion_type !== ASSERTION_TYPE)
      throw refuse("invalid_client", { message: "client_assertion_type is unknown." });
    const client = await matchAssertion(oauth, account_id, client_assertion, endpoint);
    if (!client || (client_id !== undefined && ![client.client_id, client.id].includes(client_id)))
      throw refuse("invalid_client");
    return { ...client, secret_id: "" };
  }
  if (client_id === undefined) throw refuse("invalid_client", { message: "Client authentication is required." });
  if (client_secret !== undefined) {
    const client = await authenticateClient(oauth.directory, request, client_id, secret(client_secret));
    return judgeClient(oauth.directory, client, (current) => checkWay(current, "client_secret_post"));
  }
  return authenticateByName(oauth, account_id, client_id);
}

/** A public client shows nothing else. @throws 401 invalid_client for any other, as for one that nobody knows. */
async function authenticateByName(
  oauth: Pick<Oauth, "directory" | "documents">,
  account_id: string,
  client_id: string,
): Promise<ProvenClient> {
  const client = await lookUpCurrentClient(oauth, account_id, client_id);
  if (!client) throw refuse("invalid_client");
  return judgeClient(oauth.directory, client, (current) => {
    if (!isPublic(current.settings)) throw refuse("invalid_client");
    return { ...current, secret_id: "" };
  });
}

const ASSERTION_TYPE = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

/** Secrets may come either way, as RFC 6749 §2.3.1 lets clients choose; a key never gives way to a secret. */
function checkWay(client: ProvenClient, way: "client_secret_basic" | "client_secret_post"): ProvenClient {
  const { token_endpoint_auth_method: registered } = client.settings;
  const by_secret = (method: string) => method.startsWith("client_secret_");
  if (registered === way || (by_secret(registered) && by_secret(way))) return client;
  throw refuse("invalid_client", { message: `This client authenticates by ${registered}.` });
}

/**
 * RFC 7617, and RFC 6749 §2.3.1: no client_id of ours means another when form-decoded, nor a uuid in capitals. An empty
 * secret is none, as if it had been left out.
 *
 * @throws 401 invalid_client.
 */
async function authenticateBasic(
  oauth: Pick<Oauth, "directory" | "documents">,
  request: ClientRequest,
): Promise<ProvenClient> {
  const { directory } = oauth;
  const [, encoded] = /^Basic +([A-Za-z0-9+/_-]+=*) *$/i.exec(request.headers.authorization ?? "") ?? [];
  const text = encoded === undefined ? "" : Buffer.from(encoded, "base64").toString("utf8");
  const split = text.indexOf(":");
  if (split < 1) throw refuse("invalid_client");
  const [name, sent] = [text.slice(0, split), text.slice(split + 1)];
  const client_id = smallUuid(decode(name) ?? name);
  if (sent === "") return authenticateByName(oauth, request.account_id, client_id);
  const decoded = decode(sent) ?? sent;
  const spellings = decoded === sent ? [sent] : [sent, decoded];
  const client = await authenticateClient(directory, request, client_id, ...spellings.map(secret));
  return judgeClient(directory, client, (current) => checkWay(current, "client_secret_basic"));
}

import { Check } from "typebox/value";
import { issuerOf } from "../../directory/accounts/account.ts";
import type { Client } from "../../directory/clients/client.ts";
import { blame } from "../../egress/documents.ts";
import { type Fault, Refusal, refuse } from "../../errors.ts";
import { isDeep, UNFIT } from "../../http/json.ts";
import { nameOne } from "../../http/one-spelling.ts";
import { isBadJwt } from "../../secrets/bad-jwt.ts";
import { verifyByClient } from "../client-authentication/client-keys.ts";
import type { Oauth } from "../oauth.ts";
import { RawParameters } from "./schema.ts";

const SKEW = 30;
/** A media type: without case, and its "application/" may be left out (RFC 7515 §4.1.9). */
const TYPES = /^(application\/)?(oauth-authz-req\+jwt|jwt)$/i;

/** What counts of a request, and what is told the client at its address. */
export interface OpenedRequest {
  readonly raw: RawParameters;
  readonly faults: readonly Fault[];
}

/**
 * A request that the client signed (RFC 9101): what it holds counts, and nothing beside it does. Signed with a
 * registered key, for this issuer, with an end; never fetched from anywhere.
 *
 * @throws 400 invalid_request_object; 400 client_unreachable while the client's keys do not answer.
 */
export async function openRequestObject(
  { directory, documents }: Pick<Oauth, "directory" | "documents">,
  client: Client,
  raw: RawParameters,
): Promise<OpenedRequest> {
  if (raw.request === undefined) {
    if (client.settings.require_signed_request_object) throw wrong("this client signs its requests");
    return { raw, faults: [] };
  }
  const names = [client.client_id, client.id];
  try {
    const verified = await verifyByClient(documents, client, raw.request, {
      issuer: names,
      audience: issuerOf(directory.public_url, client.account_id),
      requiredClaims: ["exp"],
      clockTolerance: SKEW,
      currentDate: new Date(directory.storage.now()),
    });
    if (!verified) throw wrong("the client has registered no keys");
    const { payload, protectedHeader } = verified;
    if (!TYPES.test(protectedHeader.typ ?? "JWT")) throw wrong("it is another kind of JWT");
    // What has a subject is a client assertion (RFC 9101 §10.8).
    if (payload.sub !== undefined) throw wrong("it has a sub");
    if (payload.client_id !== undefined && !names.some((name) => name === payload.client_id))
      throw wrong("it is another client's");
    const read = readParameters(payload);
    const one = nameOne([payload.resource].flat().map(String));
    const fault = { path: "resource", code: "invalid_target", message: "must name one API alone" };
    return { raw: { ...read, client_id: client.client_id }, faults: one ? [] : [fault] };
  } catch (error) {
    if (isBadJwt(error)) throw wrong("its signature or claims", error);
    if (error instanceof Refusal && error.code === "upstream_login_failed")
      throw blame("invalid_request_object", error, "The client's keys: ");
    throw error;
  }
}

/** Whatever else it holds is ignored (RFC 6749 §3.1), and may be any JSON (RFC 9101 §4). */
const known = Object.keys(RawParameters.properties);

function readParameters(payload: Readonly<Record<string, unknown>>): RawParameters {
  if (payload.request !== undefined || payload.request_uri !== undefined) throw wrong("it holds another request");
  // What is empty was not sent (RFC 6749 §3.1).
  const pairs = Object.entries(payload).filter(([name, value]) => known.includes(name) && value !== "");
  const parameters = Object.fromEntries(pairs.map(([name, value]) => [name, textOf(name, value)]));
  if (!Check(RawParameters, parameters)) throw wrong("a parameter is too long");
  return parameters;
}

function textOf(name: string, value: unknown): string {
  if (typeof value === "string" && !UNFIT.test(value)) return value;
  if (typeof value === "number" || typeof value === "boolean") return String(value);
  // An object in here (OpenID Connect Core §6.1), and text everywhere else.
  if (name === "claims" && typeof value === "object" && value !== null && !isDeep(value)) return JSON.stringify(value);
  // Several are a list (RFC 8707 §2.1), of which one is read here, and whether the others name it elsewhere.
  if (name === "resource" && Array.isArray(value))
    return value.map((one) => textOf("an API", one))[0] ?? textOf(name, null);
  throw wrong(`${name} is no text`);
}

function wrong(why: string, cause?: unknown): Refusal {
  const options = cause === undefined ? {} : { cause };
  return refuse("invalid_request_object", { message: `The request object is not valid: ${why}.`, ...options });
}

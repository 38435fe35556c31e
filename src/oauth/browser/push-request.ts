import { refuse } from "../../errors.ts";
import type { Proof } from "../dpop/dpop.ts";
import type { Oauth } from "../oauth.ts";
import type { AuthorizationRequest } from "./authorization-request.ts";
import { storeRequest } from "./begin.ts";
import { readRequest } from "./read-request.ts";
import { directly, RedirectedRefusal } from "./redirected-refusal.ts";
import type { RawParameters } from "./schema.ts";

export interface Pushed {
  readonly account_id: string;
  /** With the `client_id` of the client that authenticated. */
  readonly body: RawParameters;
  /** Its proof of a key, where it sent one. */
  readonly proof: Proof | undefined;
  /** Its address, for what is counted by it. */
  readonly source: string;
}

/**
 * Keeps a request that a browser will name (RFC 9126 §2), bound to the key whose proof came with it (RFC 9449 §10.1).
 *
 * @throws what is wrong with it, told to the client itself: there is no browser yet (RFC 9126 §2.3).
 */
export async function pushRequest(oauth: Oauth, pushed: Pushed): Promise<AuthorizationRequest> {
  const { account_id, body, proof, source } = pushed;
  if (body.request_uri !== undefined) throw refuse("invalid_request", { message: "request_uri is not pushed." });
  try {
    const { parameters, ...read } = await readRequest(oauth, account_id, { raw: body, source });
    // Beside what was understood, and not among what was sent, of which a signed request leaves nothing.
    const { dpop_jkt = proof?.jkt } = parameters;
    if (proof !== undefined && dpop_jkt !== proof.jkt)
      throw refuse("invalid_dpop_proof", { message: "dpop_jkt names another key than the proof." });
    await proof?.spend();
    return await storeRequest(oauth, { ...read, parameters: { ...parameters, dpop_jkt } }, "pushed");
  } catch (error) {
    throw error instanceof RedirectedRefusal ? directly(error) : error;
  }
}

import type { FastifySchemaValidationError } from "fastify";
import { Refusal, refuse } from "../../errors.ts";
import { malformed } from "../../http/error-reply.ts";
import { faultsOf, MOST_FAULTS } from "../../http/faults.ts";

/** In the words of RFC 7591 §3.2.2. */
export async function inRegistrationTerms<T>(work: () => Promise<T>): Promise<T> {
  try {
    return await work();
  } catch (error) {
    if (!(error instanceof Refusal) || !["invalid_request", "upstream_login_failed"].includes(error.code)) throw error;
    throw registrationFault(error);
  }
}

/** A setting whose name is another there. */
const SETTING = /^callbacks(?=\.|$)/;
const FIELD = "redirect_uris";

function registrationFault({ message: full, options }: Refusal): Refusal {
  const { errors = [], momentary, bare = full } = options;
  const faults = errors.map((fault) => ({ ...fault, path: fault.path.replace(SETTING, FIELD) }));
  const about_callbacks = faults.some(({ path }) => path.split(".")[0] === FIELD);
  return refuse(about_callbacks ? "invalid_redirect_uri" : "invalid_client_metadata", {
    message: faults.length > 0 ? malformed(faults).message : bare,
    ...(momentary ? { momentary } : {}),
  });
}

/** What a schema finds: of what a client says of itself in the same words. For Fastify's `schemaErrorFormatter`. */
export function schemaFault(found: readonly FastifySchemaValidationError[], context: string): Refusal {
  const refusal = malformed(faultsOf(found.slice(0, MOST_FAULTS), context));
  return context === "body" ? registrationFault(refusal) : refusal;
}

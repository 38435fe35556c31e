import { type Egress, type EgressRequest, type EgressResponse, egressFetch, isUnanswered } from "../egress/egress.ts";
import { uncertain } from "../outbox/outbox.ts";

/** A provider may ask networks before it answers, and a second request is a second SMS; milliseconds. */
export const PROVIDER_TIMEOUT = 30_000;

/** POSTs to the SMS provider. @throws uncertain where the provider has the request and does not answer it. */
export async function askProvider(egress: Egress, request: Omit<EgressRequest, "method">): Promise<EgressResponse> {
  try {
    return await egressFetch(egress, { ...request, method: "POST", by_operator: true });
  } catch (error) {
    throw isUnanswered(error) ? uncertain((error as Error).message, error) : error;
  }
}

import type { FastifyRequest } from "fastify";
import { refuse } from "../errors.ts";

/**
 * A form of another site comes without our cookie (SameSite=Lax); browsers also say where it came from.
 *
 * @throws 403 access_denied.
 */
export function refuseForeignForm(request: Pick<FastifyRequest, "headers">): void {
  const site = request.headers["sec-fetch-site"];
  if (site === undefined || site === "same-origin") return;
  throw refuse("access_denied", { message: "This form was sent by another site." });
}

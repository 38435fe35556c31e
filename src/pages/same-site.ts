import type { FastifyRequest } from "fastify";
import { refuse } from "../errors.ts";

/** Whether a form was sent by a page of ours, as far as the browser says where it came from. */
export function isOwnForm({ headers }: Pick<FastifyRequest, "headers">): boolean {
  const site = headers["sec-fetch-site"];
  return site === undefined || site === "same-origin";
}

/**
 * A form of another site comes without our cookie (SameSite=Lax); browsers also say where it came from.
 *
 * @throws 403 access_denied.
 */
export function refuseForeignForm(request: Pick<FastifyRequest, "headers">): void {
  if (!isOwnForm(request)) throw refuse("access_denied", { message: "This form was sent by another site." });
}

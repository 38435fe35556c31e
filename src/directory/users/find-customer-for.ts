import { noSuch, refuse } from "../../errors.ts";
import type { Bearer } from "../../http/contract.ts";
import type { Directory } from "../directory.ts";
import { findUserFor } from "./find-user.ts";
import type { User } from "./user.ts";

/** Whether a person let the token's client act for them as they let a stranger; what people agreed to is in another wing. */
export type ActsAsStranger = (bearer: Bearer) => Promise<boolean>;

/**
 * The customer whom a bearer with one of these scopes names, or a person who names themselves at a client that is no stranger.
 *
 * @returns `own` where it is the person alone that may, by `user:customers`.
 * @throws 403 insufficient_scope, alike for others and for nobody; 404 not_found.
 */
export async function findCustomerFor(
  { directory, actsAsStranger }: { readonly directory: Directory; readonly actsAsStranger: ActsAsStranger },
  bearer: Bearer,
  name: string,
  scopes: readonly string[],
): Promise<{ readonly user: User; readonly own: boolean }> {
  const user = await findUserFor(directory, bearer, name, scopes);
  if (user.type === "account_user") throw noSuch("user");
  const own = !scopes.some((scope) => bearer.scope.includes(scope));
  if (own && (await actsAsStranger(bearer))) throw byStranger();
  return { user, own };
}

/** Who may see more of a person in their name is not trusted with what proves them, or with what is known of them. */
const byStranger = () =>
  refuse("insufficient_scope", {
    message:
      "The person was asked about this client, or about a device at it. This takes a client that the account made, with first_party set, and no device.",
  });

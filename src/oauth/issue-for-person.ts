import { noteSeenAt } from "../directory/users/note-seen.ts";
import type { Secret } from "../secrets/secret.ts";
import { type IssuedAccessToken, issueAccessToken } from "../tokens/issue.ts";
import { authorizePerson, type PersonLogin } from "./authorization-for.ts";
import type { Oauth } from "./oauth.ts";
import { beginFamily } from "./refresh/begin-family.ts";

export interface PersonTokens extends IssuedAccessToken {
  readonly refresh_token?: Secret;
}

export interface Lasting extends PersonLogin {
  /** The uuid of the client that may refresh the login; nobody may without it. */
  readonly holder_id?: string | undefined;
}

/**
 * What a finished login of the account API gives. `now` in milliseconds.
 *
 * @throws 400 invalid_grant when the login cannot be refreshed: it was ended meanwhile, or that password is theirs no more.
 */
export async function issueForPerson({ directory, tokens }: Oauth, login: Lasting, now: number): Promise<PersonTokens> {
  const { account, client, subject, holder_id } = login;
  const authorization = await authorizePerson(directory, login);
  const issued = await issueAccessToken(tokens, authorization, now);
  const { password_set_at, provider } = subject;
  const begun = { ...authorization, password_set_at, provider, surface: "account" as const };
  const lasting =
    holder_id === undefined
      ? {}
      : { refresh_token: await beginFamily(directory, account, client, begun, holder_id, now) };
  noteSeenAt(directory, client, subject.user_id);
  return { ...issued, ...lasting };
}

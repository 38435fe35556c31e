import { finishFactor, type PresentedFactor } from "../authentication/mfa/finish.ts";
import type { PendingLogin } from "../authentication/mfa/mfa.ts";
import { occasionOf } from "../authentication/occasion.ts";
import type { AuthenticatedSubject } from "../authentication/subject.ts";
import type { Client } from "../directory/clients/client.ts";
import type { Directory } from "../directory/directory.ts";
import type { Caller } from "./caller.ts";

/** The second factor of a login, for the client that it is for. @throws as finishFactor. */
export function finishSecondFactor(
  directory: Directory,
  caller: Caller,
  client: Client,
  pending: PendingLogin,
  presented: PresentedFactor,
): Promise<AuthenticatedSubject> {
  return finishFactor(directory, { ...occasionOf(caller), pending, presented, source: caller.source(client) });
}

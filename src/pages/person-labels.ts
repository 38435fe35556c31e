import type { Session } from "../authentication/sessions/session.ts";
import type { Directory } from "../directory/directory.ts";
import { lookUpUser } from "../directory/users/find-user.ts";
import type { User } from "../directory/users/user.ts";
import { oneLine } from "../http/one-line.ts";
import { hostOfProvider } from "../oauth/browser/upstream.ts";
import { instant } from "../storage/storage.ts";
import { type Html, html } from "./html.ts";
import type { Texts } from "./texts/texts.ts";
import { timeOf } from "./time-of.ts";

export interface KnownPerson {
  readonly session: Session;
  readonly user: User | undefined;
}

interface Context {
  readonly texts: Texts;
}

/** Who is logged in by a session. */
export async function personOf(directory: Directory, session: Session): Promise<KnownPerson> {
  return { session, user: await lookUpUser(directory, session.account_id, session.user_id) };
}

/** What a person is called: address, number or name; else where they came from. */
export function labelOf({ texts }: Context, { session: { provider }, user }: KnownPerson): string {
  const named = user?.email ?? user?.phone_number ?? (oneLine(user?.name ?? "") || undefined);
  return (
    named ?? (provider === null ? texts.somebody : texts.somebody_at(hostOfProvider({ oidc: { authority: provider } })))
  );
}

/** … beside others: those who are called alike are told apart by the time of their login. */
export function labelsOf(context: Context, people: readonly KnownPerson[]): readonly Html[] {
  const labels = people.map((person) => labelOf(context, person));
  return people.map(({ session }, index) => {
    const label = labels[index] ?? "";
    if (labels.filter((one) => one === label).length === 1) return html`${label}`;
    return html`${label}, ${context.texts.logged_in} ${timeOf(instant(session.auth_time))}`;
  });
}

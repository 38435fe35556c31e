import type { Secret } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { codeDigest, normaliseCode } from "./code.ts";
import { type Naming, namePerson } from "./name-person.ts";
import { selectClientOfDigest, selectClientsOfPerson, selectSession } from "./store.ts";
import type { Verification } from "./verification.ts";

/**
 * The client that a presented code was made for: a strong code is found by itself, a numeric one belongs to the login session that is
 * named beside it, else it is looked for among the live codes of the person it was sent to, where the caller's own client comes first.
 * The caller's client when there is none; then redeeming it says what is wrong.
 *
 * @throws 400 invalid_request, as naming a person does.
 */
export async function findCodeClient(
  verification: Verification,
  request: Naming & { readonly verification_code: Secret },
): Promise<string> {
  const { account, client, audience, verification_code, now } = request;
  const { account_id } = account;
  const { storage, master_keys, canonicalAudience } = verification;
  const { kind, code } = normaliseCode(verification_code);
  const wanted = canonicalAudience(account, audience);
  if (kind === "typable" || kind === "link") {
    const binding = { account_id, client_id: "", audience: wanted, person: "" };
    const digests = master_keys.versions.map((version) => codeDigest(master_keys, version, binding, kind, code));
    const column = kind === "link" ? "link_digest" : "typed_digest";
    return (await selectClientOfDigest(storage.read, account_id, column, digests)) ?? client.id;
  }
  const { login_session_id, ...ident } = request;
  if (kind === "numeric" && login_session_id !== undefined) {
    const session = await selectSession(storage.read, account_id, login_session_id, instant(now));
    return session?.client_id ?? client.id;
  }
  const person = kind === "numeric" ? await namePerson(verification, ident) : null;
  if (person === null) return client.id;
  const clients = await selectClientsOfPerson(storage.read, { account_id, audience: wanted, person }, instant(now));
  return clients.includes(client.id) ? client.id : (clients[0] ?? client.id);
}

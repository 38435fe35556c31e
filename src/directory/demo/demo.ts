/**
 * The demo account of a first start: test account `T00000001` with a client, its grant and a user, so that a newcomer can
 * run the whole walk-through at once. Made only where PUBLIC_URL is loopback or DEMO=1.
 *
 * In: the directory and where to write. Out: a file (0600) with everything the walk-through needs. The secret is in that
 * file and nowhere else.
 */
import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { reveal, type Secret } from "../../secrets/secret.ts";
import { issuerOf } from "../accounts/account.ts";
import { createAccount } from "../accounts/create-account.ts";
import { lookUpAccount } from "../accounts/find-account.ts";
import { rotateSecret } from "../clients/change-client.ts";
import type { Client } from "../clients/client.ts";
import { createClient } from "../clients/create-client.ts";
import { lookUpClient } from "../clients/find-client.ts";
import type { Actor, Directory } from "../directory.ts";
import { createGrant } from "../grants/change-grants.ts";
import { listGrants } from "../grants/find-grant.ts";
import { createUser } from "../users/create-user.ts";

const ACCOUNT = "T00000001";
const CLIENT = "demo";
const CALLBACK = "http://localhost:3000/callback";
const USER = "ada@example.com";
const actor: Actor = { id: "first start", context: {} };

/** @returns true when this start made the secret that the file holds. */
export async function prepareDemo(directory: Directory, file: string): Promise<boolean> {
  const known = await lookUpAccount(directory, ACCOUNT);
  const account = known ?? (await createAccount(directory, { account_id: ACCOUNT, name: "Demo" }, actor));
  const audience = issuerOf(directory.public_url, ACCOUNT);
  const client = await lookUpClient(directory, ACCOUNT, CLIENT);
  if (known && !client) return false;
  const made = client === undefined ? await makeClient(directory) : await readable(directory, client, file);
  const grants = await listGrants(directory, ACCOUNT, { client_id: made.client.id });
  if (!grants.some((grant) => grant.audience === audience)) {
    const scope = ["admin:accounts", "admin:customers"];
    await createGrant(directory, { client: made.client, audience, scope, type: "any" }, actor);
  }
  if (!known)
    await createUser(directory, account, { type: "customer", email: USER, name: "Ada Example", verified: true }, actor);
  writeDemo(file, directory, made.client_secret, audience);
  return made.client_secret !== null;
}

interface DemoClient {
  readonly client: Client;
  /** null: the file holds it already. */
  readonly client_secret: Secret | null;
}

async function makeClient(directory: Directory): Promise<DemoClient> {
  const settings = {
    callbacks: [CALLBACK],
    response_types: ["authenticate" as const, "token" as const, "code" as const],
  };
  return createClient(directory, ACCOUNT, { client_id: CLIENT, name: "Demo", settings }, actor);
}

/** A start or a disk that was cut short may have left no file, or half of one: then the client gets a new secret. */
async function readable(directory: Directory, client: Client, file: string): Promise<DemoClient> {
  if (secretIn(file) !== undefined) return { client, client_secret: null };
  return rotateSecret(directory, client, 0, actor);
}

function secretIn(file: string): string | undefined {
  if (!existsSync(file)) return undefined;
  const text = readFileSync(file, "utf8");
  try {
    return (JSON.parse(text) as { client_secret?: string } | null)?.client_secret;
  } catch {
    return undefined;
  }
}

function writeDemo(file: string, { public_url }: Directory, client_secret: Secret | null, audience: string): void {
  const demo = {
    base_url: public_url,
    account_id: ACCOUNT,
    client_id: CLIENT,
    client_secret: client_secret === null ? secretIn(file) : reveal(client_secret),
    audience,
    redirect_uri: CALLBACK,
    user_email: USER,
  };
  mkdirSync(dirname(file), { recursive: true });
  writeFileSync(`${file}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

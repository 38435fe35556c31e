/**
 * The demo account of a first start: test account `T00000001` with a client, its grant and a user, so that a newcomer can
 * run the whole walk-through at once. Made only where PUBLIC_URL is loopback or DEMO=1.
 *
 * In: the directory and where to write. Out: a file (0600) with everything the walk-through needs. The secret is in that
 * file and nowhere else.
 */
import { accessSync, constants, existsSync, readFileSync, renameSync, writeFileSync } from "node:fs";
import { dirname } from "node:path";
import { makeFolder } from "../../config/make-folder.ts";
import { unlessRefused } from "../../errors.ts";
import { reveal, type Secret, secret } from "../../secrets/secret.ts";
import { uuidv7 } from "../../secrets/uuid.ts";
import { issuerOf } from "../accounts/account.ts";
import { createAccountIn } from "../accounts/create-account.ts";
import { lookUpAccount } from "../accounts/find-account.ts";
import { rotateSecret } from "../clients/change-client.ts";
import type { Client } from "../clients/client.ts";
import { createClientIn } from "../clients/create-client.ts";
import { lookUpClient } from "../clients/find-client.ts";
import { authenticateClient, mintSecret } from "../clients/secret.ts";
import type { Actor, Directory } from "../directory.ts";
import { createGrant, createGrantIn } from "../grants/change-grants.ts";
import { listHeld } from "../grants/find-grant.ts";
import { createUserIn } from "../users/create-user.ts";

const ACCOUNT = "T00000001";
const CLIENT = "demo";
const CALLBACK = "http://localhost:3000/callback";
const USER = "ada@example.com";
const actor: Actor = { id: "first start", context: {} };

/** Where a browser begins a login at the demo client. */
export const demoLogin = ({ public_url }: Pick<Directory, "public_url">): string =>
  `${issuerOf(public_url, ACCOUNT)}/oauth/authorize?client_id=${CLIENT}&redirect_uri=${CALLBACK}&response_type=code&scope=openid`;

/** @returns true when this start made the secret that the file holds. */
export async function prepareDemo(directory: Directory, file: string): Promise<boolean> {
  const audience = issuerOf(directory.public_url, ACCOUNT);
  const known = await lookUpAccount(directory, ACCOUNT);
  const client = known && (await lookUpClient(directory, ACCOUNT, CLIENT));
  if (known && !client) return false;
  checkWritable(file);
  const made = client ? await readable(directory, client, file) : await makeDemo(directory, audience);
  if (!made) return false;
  await grantHere(directory, made.client, audience);
  writeDemo(file, directory, made.client_secret, audience);
  return made.client_secret !== null;
}

/** @throws before anything is made: a secret that no file holds is of no use. */
function checkWritable(file: string): void {
  try {
    makeFolder(dirname(file));
    accessSync(dirname(file), constants.W_OK);
  } catch (error) {
    const { code = "unknown error" } = error as NodeJS.ErrnoException;
    const remedy = "Set DEMO to 0 to go without, or make its folder writable for this user.";
    throw new Error(`DEMO: ${file} cannot be written (${code}). ${remedy}`);
  }
}

interface DemoClient {
  readonly client: Client;
  /** null: the file holds it already. */
  readonly client_secret: Secret | null;
}

/** All of it or nothing. @returns undefined when another server that starts at this moment made it. */
async function makeDemo(directory: Directory, audience: string): Promise<DemoClient | undefined> {
  const now = directory.storage.now();
  const id = uuidv7(now);
  const { client_secret, row } = mintSecret(ACCOUNT, id, now);
  const settings = {
    callbacks: [CALLBACK],
    response_types: ["authenticate" as const, "token" as const, "code" as const],
  };
  const named = { account_id: ACCOUNT, id, client_id: CLIENT, name: "Demo", settings, secret: row };
  const person = { type: "customer" as const, email: USER, name: "Ada Example", verified: true };
  const client = await directory.storage.write(async (tx) => {
    if (!(await createAccountIn(tx, { account_id: ACCOUNT, name: "Demo" }, actor, now))) return undefined;
    const client = await createClientIn(tx, named, actor, now);
    const grant = { client, audience, scope: ["admin:accounts", "admin:customers"], type: "any" as const };
    await createGrantIn(tx, directory, grant, actor);
    await createUserIn(tx, ACCOUNT, person, actor, now);
    return client;
  });
  return client && { client, client_secret };
}

/**
 * A start at another address, as where the first one found its port taken, is another API. Whoever took the grant away
 * is not contradicted.
 */
async function grantHere(directory: Directory, client: Client, audience: string): Promise<void> {
  const held = (await listHeld(directory, client)).filter((grant) =>
    grant.audience.endsWith(`/v1/accounts/${ACCOUNT}`),
  );
  const [before] = held;
  if (!before || held.some((grant) => grant.audience === audience)) return;
  const { scope, type } = before;
  // Where the client has as many as it may have, the start goes without.
  await createGrant(directory, { client, audience, scope, type }, actor).catch(unlessRefused("invalid_request"));
}

/** Seconds for which secrets of before go on: the longest overlap there is (`overlap_seconds`). */
const OVERLAP = 2_592_000;

/**
 * A start or a disk that was cut short may have left no file, or half of one, and its secret may have ended: then the
 * client gets a new secret. Another folder's file may hold another, which goes on; only where there are too many do all
 * of them end. @returns undefined where the client takes none any more.
 */
async function readable(directory: Directory, client: Client, file: string): Promise<DemoClient | undefined> {
  const held = secretIn(file);
  if (held !== undefined && (await isGood(directory, held))) return { client, client_secret: null };
  const rotate = (overlap: number) =>
    rotateSecret(directory, client, overlap, actor).catch(unlessRefused("invalid_request"));
  return (await rotate(OVERLAP)) ?? (await rotate(0));
}

async function isGood(directory: Directory, held: string): Promise<boolean> {
  const sender = { account_id: ACCOUNT, ip: "" };
  const proven = authenticateClient(directory, sender, CLIENT, secret(held));
  return (await proven.catch(unlessRefused("invalid_client"))) !== undefined;
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
  writeFileSync(`${file}.new`, `${JSON.stringify(demo, null, 2)}\n`, { mode: 0o600, flush: true });
  renameSync(`${file}.new`, file);
}

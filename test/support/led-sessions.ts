/** Sessions that have led to very many logins, as rows; and people whom they are of. */
import { afterAll, beforeAll, vi } from "vitest";
import type { Engine } from "../../src/storage/storage.ts";
import { addClient, createTenant, type Latchkey, startLatchkey, type Tenant, type TestClient } from "./latchkey.ts";
import { openReceiver, type Receiver } from "./receiver.ts";
import { answered, type StandardClient, standardClient } from "./standard-client.ts";
import type { Surfer } from "./surfer.ts";

const DAY = 86_400_000;

/** Part of a suite: an account with a client of its own, `own`, that hears of logouts and gets refresh tokens. */
export function withLedSessions(engine: Engine) {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let own: TestClient;
  let standard: StandardClient;
  let listener: Receiver;
  beforeAll(async () => {
    listener = await openReceiver();
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" } });
    tenant = await createTenant(latchkey);
    own = await addOwn("/own");
    standard = standardClient(latchkey, tenant, own);
  });
  afterAll(async () => {
    await latchkey.close();
    await listener.close();
  });

  const core = () => latchkey.server.core;
  const addOwn = (path: string) => {
    const backchannel_logout_uri = `${listener.url}${path}`;
    return addClient(latchkey, tenant.account_id, { ...lasting, first_party: true, backchannel_logout_uri });
  };
  const heardAt = (path: string) => listener.all.filter((received) => received.path === path).length;
  const logIn = async (surfer: Surfer, email: string) => {
    const shown = await surfer.logIn(standard.address(own, { scope: "openid offline_access" }), tenant, email);
    return (await standard.redeem(answered(shown).get("code") ?? "", own)).body;
  };
  const silently = async (surfer: Surfer, client = own, scope = "openid") =>
    answered(await surfer.visit(standard.address(client, { scope, prompt: "none" })));
  const logOut = (surfer: Surfer, id_token_hint: string) =>
    surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint })}`);
  const refresh = async (refresh_token: string) =>
    (await standard.token({ grant_type: "refresh_token", refresh_token }, own)).status;

  const sessionsOf = (user_id: string) =>
    core()
      .storage.read.selectFrom("sessions")
      .selectAll()
      .where("account_id", "=", tenant.account_id)
      .where("user_id", "=", user_id)
      .execute();
  /** What silent logins leave of themselves, at these clients in turn. @returns their `sid`. */
  const addLed = async (session_id: string, clients: readonly string[], count: number, created = Date.now()) => {
    const created_at = new Date(created).toISOString();
    const led = Array.from({ length: count }, (_, index) => ({
      account_id: tenant.account_id,
      session_id,
      sid: `${session_id}-${created}-${index}`,
      client_id: clients[index % clients.length] ?? "",
      created_at,
      expires_at: new Date(created + 30 * DAY).toISOString(),
    }));
    for (let from = 0; from < count; from += 1_000)
      await core().storage.write(({ db }) =>
        db
          .insertInto("session_authorizations")
          .values(led.slice(from, from + 1_000))
          .execute(),
      );
    return led.map(({ sid }) => sid);
  };
  /** Of a person who logs in at `own`, in a browser that nobody has logged in in. */
  const sessionOf = async (email: string, surfer: Surfer) => {
    const tokens = await logIn(surfer, email);
    const { id: user_id } = await core()
      .storage.read.selectFrom("users")
      .select("id")
      .where("account_id", "=", tenant.account_id)
      .where("email_canonical", "=", email)
      .executeTakeFirstOrThrow();
    const [session] = await sessionsOf(user_id);
    if (!session) throw new Error("no session");
    return { tokens, session, user_id };
  };
  /** Watches from now on. @returns how many subjects each record of revocations has had. */
  const pages = () => {
    const record = vi.spyOn(core().directory.revocations, "record");
    return () => record.mock.calls.map(([, , subjects]) => subjects.length);
  };
  const unknownOf = (sids: readonly string[]) =>
    sids.filter((sid) => !core().directory.revocations.knows(tenant.account_id, `sid:${sid}`)).length;

  return {
    suite: () => ({ latchkey, tenant, own, standard }),
    ...{ core, addOwn, heardAt, silently, logOut, refresh, sessionsOf, addLed, sessionOf, pages, unknownOf },
  };
}

export const lasting: Parameters<typeof addClient>[2] = { grant_types: ["authorization_code", "refresh_token"] };

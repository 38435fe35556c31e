import { expect, it } from "vitest";
import { describeOnBothEngines } from "../../../test/support/engines.ts";
import { insertLogin, type Login } from "../../../test/support/verification.ts";
import {
  accountOf,
  clientOf,
  type Ground,
  onGround,
  public_url,
  refusalOf,
} from "../../../test/support/verification-room.ts";
import { chargeAll } from "../../limits/limits.ts";
import { reveal } from "../../secrets/secret.ts";
import { instant } from "../../storage/storage.ts";
import { type MintRequest, mintCode } from "./mint.ts";
import { redeemCode } from "./redeem.ts";

const MINUTE = 60_000;
const facts = { request_id: "r", ip: "192.0.2.1" };

describeOnBothEngines("mintCode", (engine) => {
  let { storage, room, now } = {} as Ground;
  onGround(engine, (ground) => {
    ({ storage, room, now } = ground);
  });

  const mint = (who: Login, fields: Partial<MintRequest> = {}) =>
    mintCode(room.directory, {
      account: accountOf(who),
      client: clientOf(who),
      audience: who.audience,
      user_id: who.user_id,
      format: "typable",
      actor: "caller",
      facts,
      now,
      ...fields,
    });
  const codesOf = (who: Login) =>
    storage.read
      .selectFrom("verification_codes")
      .selectAll()
      .where("client_id", "=", who.client_id)
      .orderBy("created_at")
      .execute();

  it("makes codes of each format, as long as the account says, and good for as long", async () => {
    const settings = { numeric_code_length: 8, code_lifetime: 90 };
    const looks = { typable: /^\w{5}-\w{5}$/, numeric: /^\d{8}$/, link: /^[\w-]{43}$/ };
    for (const format of ["typable", "numeric", "link"] as const) {
      const who = await insertLogin(storage);
      const account = accountOf(who, settings);
      const client = clientOf(who, { login_uri: "https://shop.example/in" });
      const { verification_code, expires_at } = await mint(who, { account, client, format });
      expect(reveal(verification_code)).toMatch(looks[format]);
      expect(expires_at).toBe(instant(now + 90_000));
      expect(await codesOf(who), "it is handed over, so nothing leads to a page").toMatchObject([
        {
          ...{ user_id: who.user_id, person: who.user_id, audience: who.audience, format, expires_at },
          ...{ connections: null, last_sent_at: null, signup: 0, email: null, phone_number: null },
          ...{ created_by: "caller", created_at: instant(now), spent_at: null },
        },
      ]);
      const [row] = await codesOf(who);
      expect(row?.typed_digest === null, "typed, or a link").toBe(format === "link");
      expect(row?.link_digest === null, "typed, or a link").toBe(format !== "link");
      const about = { account, client, grant_id: who.grant_id, audience: who.audience, actor: "caller", facts };
      const named = { ident_type: "user_id", ident: who.user_id } as const;
      const at = now + 89_999;
      const found = await redeemCode(room, { ...about, ...named, verification_code, now: at });
      expect(found.user_id).toBe(who.user_id);
    }
  });

  it("makes typable codes longer while their client is being guessed against, and that one's alone", async () => {
    const [pressed, calm] = [await insertLogin(storage), await insertLogin(storage)];
    const pressure = {
      account_id: pressed.account_id,
      budget: "typable_pressure",
      subject: pressed.client_id,
    } as const;
    await storage.write((tx) => chargeAll(tx, [pressure], now));
    const lengthOf = async (who: Login, at = now) => reveal((await mint(who, { now: at })).verification_code).length;
    expect([await lengthOf(pressed), await lengthOf(calm)]).toEqual([14, 11]);
    expect(await lengthOf(pressed, now + 60 * MINUTE)).toBe(11);
  });

  it("gives one user five live ones for one client, and says when the oldest makes room", async () => {
    const who = await insertLogin(storage);
    for (let n = 0; n < 5; n++) await mint(who, { now: now + n * MINUTE });
    const refused = async (at: number) => {
      const { code, message, options } = await refusalOf(mint(who, { now: at }));
      return [code, message, options?.retry_after];
    };
    const message = "There are 5 live codes for this user and client already.";
    expect(await refused(now + 5 * MINUTE)).toEqual(["too_many_requests", message, 300]);
    expect(await refused(now + 10 * MINUTE - 1)).toEqual(["too_many_requests", message, 1]);
    expect(await codesOf(who)).toHaveLength(5);
    const other = await insertLogin(storage);
    await mint(who, { user_id: other.user_id, now: now + 5 * MINUTE });
    await mint(other, { user_id: who.user_id, now: now + 5 * MINUTE });
    await mint(who, { now: now + 10 * MINUTE });
    await storage.write((tx) =>
      tx.db
        .updateTable("verification_codes")
        .set({ spent_at: instant(now) })
        .where("person", "=", who.user_id)
        .execute(),
    );
    await mint(who, { now: now + 10 * MINUTE });
  });

  it("gives no sixth to twelve who ask at once", async () => {
    const who = await insertLogin(storage);
    const all = await Promise.all(Array.from({ length: 12 }, () => refusalOf(mint(who))));
    expect(all.filter(({ code }) => code === undefined)).toHaveLength(5);
    expect(await codesOf(who)).toHaveLength(5);
  });

  it("knows the account's own audience by every name, and writes down who wanted the code and why", async () => {
    const who = await insertLogin(storage);
    await mint(who, { audience: `https://api.dintero.com/v1/accounts/${who.account_id}`, reason: "call 7" });
    await mint(who, { format: "link", now: now + 1 });
    const [first, second] = await codesOf(who);
    expect(first?.audience).toBe(`${public_url}/v1/accounts/${who.account_id}`);
    const events = await storage.read
      .selectFrom("audit_events")
      .select(["action", "actor", "entity", "outcome", "context", "created_at"])
      .where("entity", "=", who.user_id)
      .orderBy("created_at")
      .execute();
    const common = { action: "verification_code.minted", actor: "caller", entity: who.user_id, outcome: "success" };
    const context = { ...facts, client_id: who.client_id };
    expect(events.map((event) => ({ ...event, context: JSON.parse(event.context) }))).toEqual([
      {
        ...common,
        created_at: instant(now),
        context: { ...context, format: "typable", code_id: first?.id, reason: "call 7" },
      },
      { ...common, created_at: instant(now + 1), context: { ...context, format: "link", code_id: second?.id } },
    ]);
  });
});

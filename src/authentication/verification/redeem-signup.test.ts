import { expect, it } from "vitest";
import { describeOnBothEngines } from "../../../test/support/engines.ts";
import { type CodeFields, insertCode, insertLogin, type Login } from "../../../test/support/verification.ts";
import { accountOf, clientOf, type Ground, onGround, refusalOf } from "../../../test/support/verification-room.ts";
import type { Secret } from "../../secrets/secret.ts";
import { redeemCode } from "./redeem.ts";

const SECOND = 1_000;

describeOnBothEngines("a code that was sent to who was not known yet", (engine) => {
  let { storage, room, now } = {} as Ground;
  onGround(engine, (ground) => {
    ({ storage, room, now } = ground);
  });

  const redeem = (who: Login, code: Secret, after = 0) =>
    redeemCode(room, {
      ...{ account: accountOf(who), client: clientOf(who, { signup: true }), audience: who.audience },
      ...{ grant_id: who.grant_id, verification_code: code, actor: "caller" },
      ...{ facts: { request_id: "r", ip: "192.0.2.1" }, now: now + after * SECOND },
    });
  /** To the address of somebody who is known by now, from before. */
  const sendBefore = (who: Login, fields: Partial<CodeFields> = {}) => {
    const email = `${who.user_id}@example.com`;
    return insertCode(storage, who, {
      person: `x:${email}`,
      user_id: null,
      signup: 1,
      email,
      created_at: now,
      ...fields,
    });
  };

  it("logs in whom somebody signed up meanwhile, and spends the codes that they have under their own name", async () => {
    const who = await insertLogin(storage);
    const before = await sendBefore(who);
    const own = await insertCode(storage, who, { created_at: now });
    const elsewhere = await insertLogin(storage, { user_id: who.user_id });
    const other = await insertCode(storage, elsewhere, { created_at: now });
    expect(await redeem(who, before.code, 1)).toMatchObject({ user_id: who.user_id, authorization_id: before.id });
    expect((await refusalOf(redeem(who, own.code, 2))).code).toBe("verification_code_used");
    expect((await redeem(elsewhere, other.code, 2)).user_id, "for another client").toBe(who.user_id);
  });

  it("is used where they have logged in by a later one, or by one at the same time, and not where by one before", async () => {
    for (const [sent, expected] of [
      [2, undefined],
      [1, "verification_code_used"],
      [0, "verification_code_used"],
    ] as const) {
      const who = await insertLogin(storage);
      const own = await insertCode(storage, who, { created_at: now });
      const before = await sendBefore(who, { created_at: now + sent * SECOND });
      await redeem(who, own.code, 1);
      expect((await refusalOf(redeem(who, before.code, 3))).code, `${sent}`).toBe(expected);
    }
  });

  it("signs up one person, of two who enter two of them in one instant for two clients", async () => {
    const [who, other] = [await insertLogin(storage), await insertLogin(storage)];
    const fields = { person: "x:new", email: "new@example.com" };
    const codes = [await sendBefore(who, fields), await sendBefore(other, fields)];
    const both = await Promise.all([who, other].map((one, n) => redeem(one, codes[n]?.code as Secret)));
    expect(new Set(both.map(({ user_id }) => user_id)).size).toBe(1);
  });
});

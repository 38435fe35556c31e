import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../../test/support/engines.ts";
import { insertLogin, type Login } from "../../../test/support/verification.ts";
import { accountOf, clientOf, openRoom, public_url, refusalOf } from "../../../test/support/verification-room.ts";
import type { Directory } from "../../directory/directory.ts";
import { instant, type Storage } from "../../storage/storage.ts";
import { type Naming, namePerson } from "./name-person.ts";
import { insertLoginSession } from "./store.ts";
import { REMEMBERED } from "./verification.ts";

const phone_number = "+4741234567";

describeOnBothEngines("namePerson", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  let directory: Directory;
  let login: Login;
  let now: number;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
    directory = openRoom(storage).directory;
    login = await insertLogin(storage);
    now = storage.now();
    const verified = { phone_number, phone_verified_at: instant(now) };
    await storage.write((tx) => tx.db.updateTable("users").set(verified).where("id", "=", login.user_id).execute());
    await insertSession("s", login.audience);
    await insertSession("api", `${public_url}/v1/accounts/${login.account_id}`);
  });
  afterAll(() => test.close());

  const insertSession = (id: string, audience: string, person = login.user_id) => {
    const about = { account_id: login.account_id, id, client_id: login.client_id, audience, person };
    const known = { user_id: login.user_id, identifier: "i", email: null, phone_number: null, code_id: "c" };
    const times = { created_at: instant(now), expires_at: instant(now + 60_000) };
    return storage.write((tx) => insertLoginSession(tx.db, { ...about, ...known, ...times }));
  };
  const nameBoth = (fields: Partial<Naming>, who = login) =>
    namePerson(directory, {
      account: accountOf(login),
      client: clientOf(who),
      audience: login.audience,
      now,
      ...fields,
    });
  const name = async (...args: Parameters<typeof nameBoth>) => {
    const { person, agrees } = await nameBoth(...args);
    return agrees ? person : "somebody else";
  };
  const setVerified = (at: string | null) =>
    storage.write((tx) =>
      tx.db
        .updateTable("users")
        .set({ email_verified_at: at, phone_verified_at: at })
        .where("id", "=", login.user_id)
        .execute(),
    );
  const refused = async (...args: Parameters<typeof name>) => {
    const { code, options } = await refusalOf(name(...args));
    return [code, options?.errors?.[0]?.path, options?.errors?.[0]?.code];
  };

  it("names nobody where nothing is said", async () => {
    expect(await name({})).toBeNull();
  });

  it("knows a person by id, address and number, however they are written, in the client's own kind of user", async () => {
    const idents = [
      ["user_id", login.user_id],
      ["email", ` ${login.user_id.toUpperCase()}@EXAMPLE.com `],
      ["phone_number", phone_number],
      ["phone_number", "412 34 567"],
    ] as const;
    for (const [ident_type, ident] of idents) {
      expect(await name({ ident_type, ident }), ident).toBe(login.user_id);
      const client = clientOf(login, { user_type: "company" });
      expect(await name({ ident_type, ident, client }), ident).toMatch(/^x:/);
    }
  });

  it("gives everybody else a name too, always the same one", async () => {
    const nobody = await name({ ident_type: "email", ident: "nobody@example.com" });
    expect(nobody).toMatch(/^x:/);
    expect(await name({ ident_type: "email", ident: "Nobody@Example.com" })).toBe(nobody);
    expect(await name({ ident_type: "email", ident: "somebody@example.com" })).not.toBe(nobody);
  });

  it("knows who signed up by the name of before too, where the client signs up, and has two names for everybody else", async () => {
    const open = clientOf(login, { signup: true });
    const idents = [
      ["email", `${login.user_id}@example.com`, "new@example.com"],
      ["phone_number", phone_number, "+4741234569"],
    ] as const;
    for (const [ident_type, ident, unheard] of idents) {
      const both = await nameBoth({ ident_type, ident, client: open });
      const { former } = both;
      expect(both).toEqual({ person: login.user_id, former: expect.stringMatching(/^x:.+/), agrees: true });
      await setVerified(null);
      expect(await name({ ident_type, ident, client: open }), "before").toBe(former);
      await setVerified(instant(now));
      const nobody = await nameBoth({ ident_type, ident: unheard, client: open });
      expect(nobody).toEqual({ person: expect.stringMatching(/^x:.+/), former: "x:", agrees: true });
      expect((await nameBoth({ ident_type, ident })).former, "signs nobody up").toBe("");
      const session = { login_session_id: ident_type, ident_type, ident };
      await insertSession(ident_type, login.audience, former);
      expect(await nameBoth({ ...session, client: open })).toEqual(both);
      expect(await name({ ...session, ident: unheard, client: open })).toBe("somebody else");
      expect(await name(session)).toBe("somebody else");
    }
    const by_id = await nameBoth({ ident_type: "user_id", ident: login.user_id, client: open });
    expect(by_id).toEqual({ person: login.user_id, former: "", agrees: true });
  });

  it("refuses half a name, and one that cannot be read", async () => {
    expect(await refused({ ident: "a@example.com" })).toEqual(["invalid_request", "ident_type", "required"]);
    expect(await refused({ ident_type: "email" })).toEqual(["invalid_request", "ident", "required"]);
    expect(await refused({ ident_type: "email", ident: "nonsense" })).toEqual(["invalid_request", "ident", "format"]);
    expect(await refused({ ident_type: "phone_number", ident: "12" })).toEqual(["invalid_request", "ident", "format"]);
  });

  it("takes a session of this client and audience for a name while it is remembered, and no other", async () => {
    expect(await name({ login_session_id: "s" })).toBe(login.user_id);
    const alias = `https://api.dintero.com/v1/accounts/${login.account_id}`;
    expect(await name({ login_session_id: "api", audience: alias })).toBe(login.user_id);
    const wrong: Parameters<typeof name>[] = [
      [{ login_session_id: "unknown" }],
      [{ login_session_id: "s" }, await insertLogin(storage)],
      [{ login_session_id: "s", audience: "https://other.example" }],
      [{ login_session_id: "s", now: now + 60_000 + REMEMBERED }],
      [{ login_session_id: "s", ident_type: "email", ident: "nobody@example.com" }],
    ];
    for (const args of wrong) expect(await name(...args)).toBe("somebody else");
    const agreeing = { ident_type: "user_id", ident: login.user_id } as const;
    expect(await name({ login_session_id: "s", ...agreeing, now: now + 59_999 + REMEMBERED })).toBe(login.user_id);
  });
});

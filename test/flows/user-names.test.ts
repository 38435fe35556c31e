/** User names: each is one of its own, beside the other names of its person. */
import { randomUUID } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { secret } from "../../src/secrets/secret.ts";
import { slowHash } from "../../src/secrets/slow-hash.ts";
import { claimsOf } from "../support/claims.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  authorize,
  call,
  createTenant,
  inbox,
  type Latchkey,
  mintCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { PASSWORD, setFactors, token } from "../support/people.ts";
import { code } from "../support/replies.ts";

describeOnBothEngines("a user name", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  beforeAll(async () => {
    latchkey = await startLatchkey(engine);
    tenant = await createTenant(latchkey);
  });
  afterAll(() => latchkey.close());

  const send = async (method: string, path: string, json?: object) => {
    const reply = await call(`${tenant.base}${path}`, { method, token: tenant.token, ...(json ? { json } : {}) });
    expect(reply.status, `${method} ${path} ${reply.text}`).toBe(200);
    return reply.body;
  };
  const customer = (id: string) => ({ rel: "customers_user", href: `https://shop.example/users/${id}` });
  const phone = (number: string) => ({ rel: "phone_number", href: `tel:${number}` });
  const mail = (address: string) => ({ rel: "email", href: `mailto:${address}` });
  const mfa = { challenge_type: "oob" };
  const add = (username: string, fields: object = {}) =>
    send("POST", "/auth/users", { username, password: PASSWORD, ...fields });
  const change = (username: string, fields: object) =>
    send("PUT", `/auth/users/${username}`, { password: PASSWORD, ...fields });
  const remove = (username: string) => send("DELETE", `/auth/users/${username}`);
  const logIn = (username: string) =>
    token(tenant, { grant_type: "password", username, password: PASSWORD, audience: tenant.audience });
  const logInByCode = async (user_id: string) =>
    code(await authorize(tenant, { verification_code: await mintCode(tenant, { user_id }) }));
  const subjectOf = async (username: string) => claimsOf((await logIn(username)).body.access_token).sub;
  const statusOf = async (id: string) =>
    (await call(`${tenant.base}/customers/users/${id}`, { token: tenant.token })).status;
  /** Where a binding code arrives after the password. */
  const asked = async (username: string, numbers: readonly string[]) => {
    const { mfa_token } = (await logIn(username)).body;
    const challenged = await call(`${tenant.base}/auth/mfa/challenge`, {
      method: "POST",
      token: tenant.token,
      json: { challenge_type: "oob", mfa_token },
    });
    expect(challenged.status, challenged.text).toBe(200);
    const counts = await Promise.all(numbers.map(async (to) => [to, (await inbox(tenant, to)).length] as const));
    return counts.filter(([, count]) => count > 0).map(([to]) => to);
  };

  it("is one of twenty that a customer may have", async () => {
    const own = await createTenant(latchkey);
    const { id } = await addUser(latchkey, own.account_id);
    const set = async (method: string, path: string, json?: object) => {
      const about = { method, token: own.token, ...(json ? { json } : {}) };
      const { body } = await call(`${own.base}/auth/users${path}`, about);
      return body?.error?.errors?.[0]?.message ?? body?.username;
    };
    const make = (n: number, of = id) =>
      set("POST", "", { username: `grace-${n}`, password: PASSWORD, links: [customer(of)] });
    const at = new Date().toISOString();
    const rows = Array.from({ length: 19 }, (_, n) => {
      const named = { username: `grace-${n}`, username_canonical: `grace-${n}`, user_id: id, links: "[]" };
      return { account_id: own.account_id, id: randomUUID(), ...named, created_at: at, updated_at: at };
    });
    await latchkey.server.core.storage.write(({ db }) => db.insertInto("usernames").values(rows).execute());
    expect(await make(19)).toBe("grace-19");
    expect(await make(20)).toBe("name a customer with 20 user names already: delete one");
    expect(await make(21, own.user.id), "those of others are their own").toBe("grace-21");
    expect(await set("DELETE", "/grace-3")).toBe("grace-3");
    const both = await Promise.all([make(20), make(22)]);
    expect(
      both.filter((shown) => /^grace/.test(shown)),
      String(both),
    ).toHaveLength(1);
  });

  it("is none that an address leaves out, so that nobody could change or delete it", async () => {
    await add("...");
    for (const username of [".", ".."]) {
      const json = { username, password: PASSWORD };
      for (const [method, path] of [
        ["POST", "/auth/users"],
        ["POST", "/auth/users/.../change_username"],
      ] as const) {
        const { status, body } = await call(`${tenant.base}${path}`, { method, token: tenant.token, json });
        expect([status, body.error.errors[0].path], `${method} ${username}`).toEqual([400, "username"]);
      }
    }
  });

  it("and its password are the same however a keyboard composes their letters", async () => {
    const [composed, decomposed] = ["\u00c5se", "A\u030ase"];
    const [password, typed] = ["bl\u00e5b\u00e6r til \u00e5se", "bla\u030ab\u00e6r til a\u030ase"];
    const enter = (username: string, text: string) =>
      token(tenant, { grant_type: "password", username, password: text, audience: tenant.audience });
    const post = (json: object) => call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, json });
    const ways = [
      [composed, decomposed, password, typed],
      [decomposed, composed, typed, password],
    ] as const;
    for (const [n, [name, other, first, second]] of ways.entries()) {
      const made = await add(`${name}-${n}`, { password: first });
      expect(made.username).toBe(`${composed}-${n}`);
      for (const [username, text] of [
        [name, first],
        [other, second],
      ])
        expect((await enter(`${username}-${n}`, text ?? "")).status, `${n} ${username}`).toBe(200);
      expect(code(await enter(`${other}-${n}`, "wrong password"))).toEqual([400, "invalid_grant"]);
      const twin = await post({ username: `${other}-${n}`, password: first });
      expect([...code(twin), twin.body.error.errors[0].code]).toEqual([400, "invalid_request", "taken"]);
      expect((await change(encodeURIComponent(`${other}-${n}`), { password: second })).username).toBe(
        `${composed}-${n}`,
      );
      await remove(encodeURIComponent(`${other}-${n}`));
    }
  });

  it("is one person's in upper and lower case, and comes back as it was made", async () => {
    const post = (json: object) => call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, json });
    await add("\u00c5se.Olsen");
    const sub = await subjectOf("\u00c5se.Olsen");
    const others = ["\u00e5se.olsen", "A\u030aSE.OLSEN"];
    for (const username of others) {
      expect(await subjectOf(username), username).toBe(sub);
      const twin = await post({ username, password: PASSWORD });
      expect([...code(twin), twin.body.error.errors[0].code], username).toEqual([400, "invalid_request", "taken"]);
      expect((await change(encodeURIComponent(username), {})).username).toBe("\u00c5se.Olsen");
    }
    await add("Per");
    const rename = (from: string, username: string) => {
      const path = `${tenant.base}/auth/users/${encodeURIComponent(from)}/change_username`;
      return call(path, { method: "POST", token: tenant.token, json: { username } });
    };
    expect(code(await rename("per", others[0] ?? ""))).toEqual([400, "invalid_request"]);
    expect((await rename("per", "PER")).body.username, "their own").toBe("PER");
    const at_once = await Promise.all(
      ["Kari", "KARI", "kari"].map((username) => post({ username, password: PASSWORD })),
    );
    expect(at_once.map(({ status }) => status).toSorted()).toEqual([200, 400, 400]);
    await remove("pEr");
    expect(code(await logIn("PER"))).toEqual([400, "invalid_grant"]);
    await add("per");
  });

  it("that was stored as it was typed is found, and taken, however it is composed and in any case", async () => {
    const { storage } = latchkey.server.core;
    const [stored, ways] = ["Ste\u0301phane", ["Ste\u0301phane", "St\u00e9phane", "ST\u00c9PHANE"]];
    await add("stephane");
    const sub = await subjectOf("stephane");
    for (const username_canonical of [null, stored.toLowerCase()]) {
      await storage.write(async ({ db }) => {
        const before = { username: stored, username_canonical };
        await db.updateTable("usernames").set(before).where("user_id", "=", sub).execute();
      });
      for (const username of username_canonical === null ? ways.slice(0, 2) : ways) {
        expect(await subjectOf(username), username).toBe(sub);
        const json = { username, password: PASSWORD };
        const twin = await call(`${tenant.base}/auth/users`, { method: "POST", token: tenant.token, json });
        expect(code(twin), username).toEqual([400, "invalid_request"]);
      }
    }
    await remove(encodeURIComponent(stored));
  });

  it("of before that differs from another in case alone is its own as it is written", async () => {
    const { storage } = latchkey.server.core;
    for (const username of ["eva-1", "eva-2"]) await add(username);
    const subjects = [await subjectOf("eva-1"), await subjectOf("eva-2")];
    await storage.write(async ({ db }) => {
      for (const [n, username] of ["Eva", "eva"].entries()) {
        const before = { username, username_canonical: null };
        await db
          .updateTable("usernames")
          .set(before)
          .where("user_id", "=", subjects[n] ?? "")
          .execute();
      }
    });
    expect([await subjectOf("Eva"), await subjectOf("eva")]).toEqual(subjects);
    expect(code(await logIn("EVA"))).toEqual([400, "invalid_grant"]);
  });

  it("that a build from before took away beside this one is nobody's, and can be given", async () => {
    const { storage } = latchkey.server.core;
    for (const [n, give] of [
      (username: string) => add(username),
      (username: string) => send("POST", "/auth/users/other-old/change_username", { username }),
    ].entries()) {
      await add(`old-${n}`);
      if (n === 1) await add("other-old");
      const sub = await subjectOf(`old-${n}`);
      await storage.write(({ db }) =>
        db
          .updateTable("usernames")
          .set({ username: `renamed-${n}` })
          .where("user_id", "=", sub)
          .execute(),
      );
      expect(code(await logIn(`old-${n}`))).toEqual([400, "invalid_grant"]);
      await give(`old-${n}`);
      expect(await subjectOf(`OLD-${n}`)).not.toBe(sub);
      expect(await subjectOf(`renamed-${n}`)).toBe(sub);
    }
  });

  it("and a password that were stored as they were typed are good as they are typed", async () => {
    const [name, text] = ["Ame\u0301lie", "le mot cache\u0301"];
    const { storage } = latchkey.server.core;
    await add("amelie");
    const user_id = await subjectOf("amelie");
    const hash = await slowHash(tenant.account_id, secret(text));
    await storage.write(async ({ db }) => {
      const mine = { account_id: tenant.account_id, user_id };
      const before = { username: name, username_canonical: null };
      await db.updateTable("usernames").set(before).where("user_id", "=", user_id).execute();
      await db.deleteFrom("passwords").where("user_id", "=", user_id).execute();
      const since = { updated_at: new Date().toISOString(), set_over: null };
      await db
        .insertInto("passwords")
        .values({ ...mine, kind: "password", hash, ...since })
        .execute();
    });
    const enter = (password: string) =>
      token(tenant, { grant_type: "password", username: name, password, audience: tenant.audience });
    expect((await enter(text)).status).toBe(200);
    expect(code(await enter("wrong cache\u0301"))).toEqual([400, "invalid_grant"]);
    const read = storage.read.selectFrom("budgets").select("count").where("subject", "=", user_id);
    expect(Number((await read.executeTakeFirst())?.count), "counted once").toBe(1);
    await remove(encodeURIComponent(name));
  });

  it("that is nobody's is one person's however it is composed or in capitals, whose guesses are counted like anybody's", async () => {
    const guess = (username: string) =>
      token(tenant, { grant_type: "password", username, password: "wrong password", audience: tenant.audience });
    const ways = ["nobod\u00fd", "nobody\u0301", "Nobod\u00dd"];
    for (let n = 0; n < 10; n++) expect((await guess(ways[n % 3] ?? "")).status).toBe(400);
    for (const name of ways) expect((await guess(name)).status).toBe(429);
  });

  it("of a user of its own is one that the client logs in, which made it", async () => {
    const own = await createTenant(latchkey, { client: { user_type: "company" } });
    const json = { username: "till-4", password: PASSWORD };
    expect((await call(`${own.base}/auth/users`, { method: "POST", token: own.token, json })).status).toBe(200);
    const login = { grant_type: "password", username: "till-4", password: PASSWORD, audience: own.audience };
    expect((await token(own, login)).status).toBe(200);
  });

  it("takes the second factor with it that it had set", async () => {
    const { id } = await addUser(latchkey, tenant.account_id);
    await add("gone", { links: [customer(id), phone("+4740001101")], mfa });
    expect(await logInByCode(id)).toEqual([403, "mfa_required"]);
    await remove("gone");
    expect(await logInByCode(id)).toEqual([302, undefined]);
  });

  it("has its second factor switched off by an mfa of null, also one that nothing else remembers", async () => {
    const { id } = await addUser(latchkey, tenant.account_id);
    await add("off", { links: [customer(id), phone("+4740001201")], mfa });
    expect(code(await logIn("off"))).toEqual([403, "mfa_required"]);
    const shown = await change("off", { mfa: null });
    expect([shown.username, "mfa" in shown]).toEqual(["off", false]);
    expect(code(await logIn("off"))).toEqual([200, undefined]);
    expect(await logInByCode(id)).toEqual([302, undefined]);
    await setFactors(latchkey, tenant.account_id, id, { sms: "+4740001202" });
    expect(await logInByCode(id)).toEqual([403, "mfa_required"]);
    await change("off", { mfa: null });
    expect(await logInByCode(id)).toEqual([302, undefined]);
  });

  it("is sent its codes at the address and number that its links name, however those are written", async () => {
    const { id } = await addUser(latchkey, tenant.account_id);
    const link = (rel: string, href: string) => ({ links: [customer(id), { rel, href }], mfa });
    const [meant, misread, number] = ["ada+shop@example.com", "ada%2bshop@example.com", "+4740001401"];
    await add("written", link("email", "MAILTO:ada%2Bshop%40example.com"));
    expect(await asked("written", [meant, misread])).toEqual([meant]);
    await change("written", link("phone_number", "Tel:%2B4740001401"));
    expect(await asked("written", [number])).toEqual([number]);
    for (const [rel, href] of [
      ["email", "mailto:%E0%A4@example.com"],
      ["email", "tel:+4740001401"],
      ["phone_number", "tel:%2"],
      ["phone_number", "+4740001401"],
    ] as const) {
      const json = { password: PASSWORD, ...link(rel, href) };
      const reply = await call(`${tenant.base}/auth/users/written`, { method: "PUT", token: tenant.token, json });
      expect([...code(reply), reply.body.error.errors?.[0]?.path], href).toEqual([
        400,
        "invalid_request",
        "links.1.href",
      ]);
    }
  });

  it("leaves a second factor to the name beside it that has one", async () => {
    const { id } = await addUser(latchkey, tenant.account_id);
    const [first, second] = ["+4740001301", "+4740001302"];
    await add("stays", { links: [customer(id), phone(first)], mfa });
    await add("goes", { links: [customer(id), phone(second), mail("goes@example.com")], mfa });
    await add("says-nothing", { links: [customer(id)] });
    await remove("says-nothing");
    expect(code(await logIn("goes"))).toEqual([403, "mfa_required"]);
    await remove("goes");
    expect(await asked("stays", [first, second, "goes@example.com"])).toEqual([first]);
    await add("again", { links: [customer(id), phone(second)], mfa });
    await change("again", { mfa: null });
    expect(await asked("again", [first, second])).toEqual([first]);
    await remove("stays");
    expect(code(await logIn("again"))).toEqual([200, undefined]);
  });

  it("ends with its deletion alone, not with that of the name beside it, and takes the password with the last", async () => {
    const { id } = await addUser(latchkey, tenant.account_id);
    for (const username of ["n", "m"]) await add(username, { links: [customer(id)] });
    await remove("n");
    expect(code(await logIn("n"))).toEqual([400, "invalid_grant"]);
    expect(await subjectOf("m")).toBe(id);
    await remove("m");
    expect(code(await logIn("m"))).toEqual([400, "invalid_grant"]);
    const passwords = latchkey.server.core.storage.read.selectFrom("passwords").where("user_id", "=", id);
    expect(await passwords.select("kind").execute()).toEqual([]);
    expect(await statusOf(id)).toBe(200);
  });

  it("keeps a user whose other name goes, who goes with the last", async () => {
    await add("alone");
    const id = await subjectOf("alone");
    await add("beside", { links: [customer(id)] });
    await remove("alone");
    expect(await subjectOf("beside")).toBe(id);
    await change("beside", {});
    await add("single");
    const single = await subjectOf("single");
    await add("other", { links: [customer(single)] });
    await remove("other");
    expect(await subjectOf("single")).toBe(single);
    await remove("single");
    expect(await statusOf(single)).toBe(404);
  });
});

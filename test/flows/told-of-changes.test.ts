/** Whoever changes how somebody logs in, that person hears of it: over a real SMTP conversation, once, and of what was done alone. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { tellOfChange } from "../../src/authentication/messages/tell-of-change.ts";
import { findAccount } from "../../src/directory/accounts/find-account.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  call,
  createTenant,
  inbox,
  type Latchkey,
  newAccountId,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { addAccountUser, addPerson, oneTimePassword, PASSWORD, QUICK_HASH, token } from "../support/people.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { codeIn, type Mailbox, openMailbox, recipientOf, until } from "../support/smtp.ts";

const CHOSEN = "another correct horse";
const SAID = {
  password: "A new password or PIN for Shop was set in your name.",
  added: "A second step was set up for your logins at Shop.",
  removed: "A second step of your logins at Shop was switched off.",
  name_added: "A new user name and its password now log in to Shop in your name.",
  name_changed: "A user name that logs in to Shop in your name was changed.",
  name_removed: "A user name no longer logs in to Shop in your name.",
} as const;

describeOnBothEngines("a change of how somebody logs in", (engine) => {
  let latchkey: Latchkey;
  let mailbox: Mailbox;
  let receiver: Receiver;
  beforeAll(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    receiver = await openReceiver(() => [202, "{}"]);
    latchkey = await startLatchkey(engine, {
      env: {
        ...{ SMTP_URL: mailbox.url, MAIL_FROM: "login@latchkey.example" },
        ...{ SMS_URL: `http://:topsecret@127.0.0.1:${receiver.port}/sms`, EGRESS_ALLOW: "127.0.0.0/8" },
      },
    });
  });
  afterAll(async () => {
    await latchkey.close();
    await mailbox.stop();
    await receiver.close();
  });

  const production = () => createTenant(latchkey, { account_id: newAccountId("P") });
  const send = async (tenant: Tenant, method: string, path: string, json?: object, bearer = tenant.token) => {
    const reply = await call(path.startsWith("/v1/") ? `${latchkey.url}${path}` : `${tenant.base}${path}`, {
      ...{ method, token: bearer, ...(json ? { json } : {}) },
    });
    return reply;
  };
  const rows = (account_id: string) =>
    latchkey.server.core.storage.read.selectFrom("outbox").selectAll().where("account_id", "=", account_id);
  /** Notices to anybody of the account that have not been given up. */
  const notices = async (account_id: string) => (await rows(account_id).where("kind", "=", "notice").execute()).length;
  const mailsTo = (address: string) => mailbox.mails.filter((mail) => recipientOf(mail) === address);
  /** Texts of the notices that came to an address, once there are so many. */
  const heard = async (address: string, count: number) => {
    const told = () => mailsTo(address).filter(({ subject }) => subject === "How you log in at Shop has changed");
    await until(`${count} notices to ${address}`, () => told().length >= count || undefined);
    expect(told()).toHaveLength(count);
    return told().map(({ text = "" }) => text);
  };
  const read = new Set<string>();
  /** In a mail that was not read for it before. */
  const nextCodeTo = async (address: string) => {
    const unread = () =>
      mailsTo(address)
        .map(codeIn)
        .find((code) => code !== "" && !read.has(code));
    const code = await until(`a code to ${address}`, unread);
    read.add(code);
    return code;
  };
  const textsTo = (number: string): string[] =>
    receiver.all
      .map(({ body }) => JSON.parse(body))
      .filter(({ to }) => to === number)
      .map(({ text }) => text);
  const set = (id: string, fields: Readonly<Record<string, string | null>>) =>
    latchkey.server.core.storage.write(({ db }) => db.updateTable("users").set(fields).where("id", "=", id).execute());
  const audited = async (account_id: string, action: string) => {
    const events = latchkey.server.core.storage.read.selectFrom("audit_events").select(["outcome", "context"]);
    const found = await events.where("account_id", "=", account_id).where("action", "=", action).execute();
    return found.map(({ outcome, context }) => [outcome, JSON.parse(context).withheld]);
  };

  it("says what, when, for which account and what to do, to whom it was done, and holds nothing of what is new", async () => {
    const tenant = await production();
    const { id, email } = await addPerson(latchkey, tenant.account_id, { hash: QUICK_HASH });
    const before = new Date().toISOString().slice(0, 10);
    expect((await send(tenant, "PUT", `/customers/users/${id}`, { password: CHOSEN, pin: "271828" })).status).toBe(200);
    const [text = ""] = await heard(email, 1);
    const [, day] = /That was on (\d{4}-\d\d-\d\d) at \d\d:\d\d UTC\./.exec(text) ?? [];
    expect([before, new Date().toISOString().slice(0, 10)]).toContain(day);
    expect(text).toContain(SAID.password);
    expect(text).toContain("If that was not you, tell Shop at once.");
    const [mail] = mailsTo(email);
    for (const said of [text, String(mail?.html), String(mail?.subject)])
      for (const secret of [CHOSEN, "271828", email, id]) expect(said).not.toContain(secret);
    expect(codeIn(mail ?? ({} as never))).toBe("");
    const about = { email, audience: tenant.audience, type: "customer" };
    expect((await send(tenant, "POST", "/customers/change_password", about)).status).toBe(204);
    const chosen = { ...about, verification_code: await nextCodeTo(email), password: PASSWORD };
    expect((await send(tenant, "POST", "/customers/change_password", chosen)).status).toBe(204);
    expect((await heard(email, 2)).at(-1)).toContain(SAID.password);
    expect(await send(tenant, "PUT", `/customers/users/${id}`, { name: "Ada" })).toMatchObject({ status: 200 });
    expect((await send(tenant, "PUT", `/customers/users/${id}`, { password: "short" })).status).toBe(400);
    expect(await notices(tenant.account_id), "neither a name nor a refused one").toBe(2);
  });

  it("is told to an account user, whether they make it or somebody in their place", async () => {
    const tenant = await production();
    const me = await addAccountUser(latchkey, tenant);
    const logIn = async () => {
      const asked = { audience: tenant.issuer, connection: "email", client_id: me.client.client_id, email: me.email };
      const sent = await call(`${tenant.base}/auth/passwordless`, { method: "POST", token: tenant.token, json: asked });
      expect(sent.status, sent.text).toBe(204);
      const proof = { verification_code: await nextCodeTo(me.email), ident_type: "email", ident: me.email };
      return (await token(tenant, { grant_type: "authorization_code", ...proof, audience: tenant.issuer })).body;
    };
    let { access_token } = await logIn();
    const mine = (method: string, path: string, json?: object) =>
      send(tenant, method, `/v1/account/user${path}`, json, access_token);
    expect((await mine("POST", "/password", { proposed_password: PASSWORD })).status).toBe(201);
    expect(await heard(me.email, 1)).toEqual([expect.stringContaining(SAID.password)]);
    const wrong = { previous_password: CHOSEN, proposed_password: CHOSEN };
    expect((await mine("POST", "/password", wrong)).status).toBe(400);
    expect((await mine("PUT", "/mfa/totp", { enabled: false })).status, "which is not on").toBe(201);
    const { secret } = (await mine("POST", "/mfa/totp")).body;
    expect((await mine("PUT", "/mfa/totp", { otp: "000000" })).status).toBe(400);
    expect(await notices(tenant.account_id)).toBe(1);
    expect((await mine("PUT", "/mfa/totp", { otp: oneTimePassword(secret) })).status).toBe(201);
    expect((await heard(me.email, 2)).at(-1)).toContain(SAID.added);
    expect(JSON.stringify(mailsTo(me.email))).not.toContain(secret);
    const lost = `/management/users/${me.id}/mfa/totp`;
    for (let n = 0; n < 2; n++) expect((await send(tenant, "DELETE", lost)).status).toBe(204);
    expect((await heard(me.email, 3)).at(-1)).toContain(SAID.removed);
    ({ access_token } = await logIn());
    const number = "+4740998877";
    expect((await mine("PUT", "/mfa/sms", { enabled: true, phone_number: number })).status).toBe(201);
    const told = (await heard(me.email, 4)).at(-1);
    expect([told?.includes(SAID.added), told?.includes("998877")]).toEqual([true, false]);
    const { mfa_token } = await logIn();
    const oob = { challenge_type: "oob", mfa_token };
    const { oob_code } = (await send(tenant, "POST", "/auth/mfa/challenge", oob)).body;
    const sms = await until("a binding code", () => textsTo(number)[0]);
    const binding_code = /\d{6}/.exec(sms)?.[0];
    ({ access_token } = (await token(tenant, { grant_type: "mfa_oob", mfa_token, oob_code, binding_code })).body);
    expect((await mine("PUT", "/mfa/sms", { enabled: true, phone_number: number })).status, "as it is").toBe(201);
    expect((await mine("PUT", "/mfa/sms", { enabled: false })).status).toBe(201);
    expect((await heard(me.email, 5)).at(-1)).toContain(SAID.removed);
    expect(await notices(tenant.account_id), "each once").toBe(5);
    expect(textsTo(number), "which nobody proved").toHaveLength(1);
  });

  it("of user names is told to the customer who has them, with their second factor in one message", async () => {
    const tenant = await production();
    const { id, email } = await addUser(latchkey, tenant.account_id);
    const links = [
      { rel: "customers_user", href: `https://shop.example/users/${id}` },
      { rel: "phone_number", href: "tel:+4740111222" },
    ];
    const mfa = { challenge_type: "oob", oob_channels: ["sms"] };
    const name = (method: string, path: string, json?: object) => send(tenant, method, `/auth/users${path}`, json);
    const steps: [string, string, object | undefined, readonly string[]][] = [
      ["POST", "", { username: "margaret", password: PASSWORD, links, mfa }, [SAID.name_added, SAID.added]],
      ["PUT", "/margaret", { password: CHOSEN, links, mfa }, [SAID.password]],
      ["PUT", "/margaret", { password: CHOSEN, mfa: null }, [SAID.password, SAID.removed]],
      ["POST", "/margaret/change_username", { username: "hamilton" }, [SAID.name_changed]],
      ["DELETE", "/hamilton", undefined, [SAID.name_removed]],
    ];
    for (const [n, [method, path, json, said]] of steps.entries()) {
      expect((await name(method, path, json)).status, `${method} ${path}`).toBe(200);
      const text = (await heard(email, n + 1)).at(-1) ?? "";
      expect(
        Object.values(SAID).filter((sentence) => text.includes(sentence)),
        `${method} ${path}`,
      ).toEqual(Object.values(SAID).filter((sentence) => said.includes(sentence)));
      for (const hidden of ["40111222", "margaret", "hamilton", CHOSEN]) expect(text).not.toContain(hidden);
    }
    const before = await notices(tenant.account_id);
    expect((await name("POST", "", { username: "alone", password: PASSWORD })).status).toBe(200);
    const first = { username: "with-links", password: PASSWORD, links: links.slice(1), mfa };
    expect((await name("POST", "", first)).status).toBe(200);
    expect((await name("POST", "/alone/change_username", { username: "with-links" })).status).toBe(400);
    expect((await name("POST", "/with-links/change_username", { username: "linked" })).status).toBe(200);
    expect(await notices(tenant.account_id), "a link is what somebody entered, and proved by nobody").toBe(before);
  });

  it("is told three times an hour of each kind, by mail or by SMS, and the audit trail says of which it was not", async () => {
    const tenant = await production();
    const [mailed, texted] = [await addUser(latchkey, tenant.account_id), await addUser(latchkey, tenant.account_id)];
    await set(texted.id, { email_verified_at: null });
    for (const [name, { id }] of Object.entries({ mailed, texted })) {
      const links = [{ rel: "customers_user", href: `https://shop.example/users/${id}` }];
      const change = (method: string, path: string, json?: object) => send(tenant, method, `/auth/users${path}`, json);
      await change("POST", "", { username: `${name}0`, password: PASSWORD, links });
      for (let n = 0; n < 10; n++)
        await change("POST", `/${name}${n}/change_username`, { username: `${name}${n + 1}` });
      expect((await change("DELETE", `/${name}10`)).status).toBe(200);
    }
    await until("five SMS", () => textsTo(texted.phone_number).length >= 5 || undefined);
    for (const texts of [await heard(mailed.email, 5), textsTo(texted.phone_number)]) {
      const of = (said: string) => texts.filter((text) => text.includes(said)).length;
      expect([texts.length, ...[SAID.name_added, SAID.name_changed, SAID.name_removed].map(of)]).toEqual([5, 1, 3, 1]);
    }
    expect([textsTo(mailed.phone_number), mailsTo(texted.email)]).toEqual([[], []]);
    expect(await audited(tenant.account_id, "message.withheld")).toEqual(Array(14).fill(["failure", "told too often"]));
  });

  it("is told to a number where no address logs in, and to one that is older than a new address as well", async () => {
    const tenant = await production();
    const day = (n: number) => new Date(Date.now() - n * 86_400_000).toISOString();
    const person = async (fields: Readonly<Record<string, string | null>>) => {
      const added = await addUser(latchkey, tenant.account_id);
      await set(added.id, fields);
      expect((await send(tenant, "PUT", `/customers/users/${added.id}`, { pin: "271828" })).status).toBe(200);
      return added;
    };
    const unproved = await person({ email_verified_at: null });
    const sms = await until("an SMS", () => textsTo(unproved.phone_number)[0]);
    expect(sms).toMatch(/^A new password or PIN for Shop was set in your name\. That was on .* tell Shop at once\.$/);
    const moved = await person({ email_verified_at: day(2), phone_verified_at: day(30) });
    await until("the other SMS", () => textsTo(moved.phone_number)[0]);
    expect(await heard(moved.email, 1)).toHaveLength(1);
    const settled = await person({ email_verified_at: day(8), phone_verified_at: day(30) });
    const same = await person({ email_verified_at: day(2), phone_verified_at: day(1) });
    const nobody = await person({ email_verified_at: null, phone_verified_at: null });
    for (const { email } of [settled, same]) expect(await heard(email, 1)).toHaveLength(1);
    const settling = async () => (await rows(tenant.account_id).where("state", "=", "pending").execute()).length;
    await until("everything is sent", async () => (await settling()) === 0 || undefined);
    for (const { phone_number } of [settled, same, nobody]) expect(textsTo(phone_number)).toEqual([]);
    for (const { email } of [unproved, nobody]) expect(mailsTo(email)).toEqual([]);
  });

  it("is told only where it was made: not where it was rolled back, nor of what somebody begins with", async () => {
    const tenant = await production();
    const { storage, directory } = latchkey.server.core;
    const account = await findAccount(directory, tenant.account_id);
    const undone = storage.write(async (tx) => {
      await tellOfChange(tx, account, tenant.user.id, ["password_changed"], storage.now());
      throw new Error("undone");
    });
    await expect(undone).rejects.toThrow("undone");
    const first = { email: "begins@example.com", password: PASSWORD, pin: "271828" };
    expect((await send(tenant, "POST", "/customers/users", first)).status).toBe(200);
    expect(await rows(tenant.account_id).execute()).toEqual([]);
  });

  it("of a test account waits in its inbox, in the person's language, and reaches nobody", async () => {
    const tenant = await createTenant(latchkey);
    const before = mailbox.mails.length;
    const { id, email } = await addUser(latchkey, tenant.account_id, { locale: "nb" });
    expect((await send(tenant, "PUT", `/customers/users/${id}`, { password: CHOSEN })).status).toBe(200);
    const [shown, ...rest] = await inbox(tenant, email);
    expect([shown?.subject, shown?.verification_code, rest.length]).toEqual([
      "Innloggingen din hos Shop er endret",
      undefined,
      0,
    ]);
    expect(shown?.text).toMatch(/Nytt passord eller ny PIN .* UTC\. .* si fra til Shop med en gang\.\n$/);
    expect((await rows(tenant.account_id).execute()).map(({ channel }) => channel)).toEqual(["sandbox"]);
    expect(mailbox.mails).toHaveLength(before);
  });
});

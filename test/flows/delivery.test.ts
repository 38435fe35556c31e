/** How a code reaches a person: by a real SMTP conversation, by SMS over HTTP, or not at all, and then somebody is told. */
import { createHmac } from "node:crypto";
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addUser,
  askForCode,
  authorize,
  call,
  createTenant,
  type Latchkey,
  newAccountId,
  receiveCode,
  startLatchkey,
} from "../support/latchkey.ts";
import { openReceiver } from "../support/receiver.ts";
import { codeIn, type Mailbox, openMailbox, until } from "../support/smtp.ts";

describeOnBothEngines("delivery", (engine) => {
  let latchkey: Latchkey;
  let mailbox: Mailbox;
  beforeAll(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    latchkey = await startLatchkey(engine, {
      env: { SMTP_URL: mailbox.url, MAIL_FROM: "Latchkey <login@latchkey.example>" },
    });
  });
  afterAll(async () => {
    await latchkey.close();
    await mailbox.stop();
  });
  const opened: (() => void)[] = [];
  afterEach(() => {
    for (const close of opened.splice(0)) close();
  });

  const production = (settings = {}) => createTenant(latchkey, { account_id: newAccountId("P"), ...settings });
  const mailTo = (address: string) =>
    until(`mail to ${address}`, () => mailbox.mails.findLast((mail) => JSON.stringify(mail.to).includes(address)));

  it("shows in the sandbox what can be read, and says of a message whose key is gone that it is", async () => {
    const tenant = await createTenant(latchkey);
    await askForCode(tenant);
    const other = await addUser(latchkey, tenant.account_id);
    await askForCode({ ...tenant, user: other });
    const { storage } = latchkey.server.core;
    const messages = storage.read.selectFrom("outbox").selectAll().where("account_id", "=", tenant.account_id);
    const row = await messages.where("inbox", "=", other.email).executeTakeFirstOrThrow();
    const payload = JSON.stringify({ ...JSON.parse(row.payload), key_version: "00000000" });
    await storage.write((tx) => tx.db.updateTable("outbox").set({ payload }).where("id", "=", row.id).execute());
    const { status, body } = await call(`${tenant.base}/sandbox/messages`, { token: tenant.token });
    expect([status, body.length]).toEqual([200, 2]);
    expect(
      body.map(({ text }: { text: string }) => /code works once|no longer configured/.exec(text)?.[0]).sort(),
    ).toEqual(["code works once", "no longer configured"]);
  });

  it("mails a production account's code, in text and HTML, from which it logs in", async () => {
    const tenant = await production();
    expect((await askForCode(tenant)).status).toBe(204);
    const mail = await mailTo(tenant.user.email);
    expect(mail.subject).toBe("Your login code for The Shop");
    expect(mail.from?.text).toContain("login@latchkey.example");
    expect(mail.messageId).toMatch(/^<[0-9a-f-]{36}@latchkey\.example>$/);
    expect(mail.headers.get("auto-submitted")).toBe("auto-generated");
    expect(mail.subject).not.toContain(codeIn(mail));
    expect(mail.text).toContain("The code works once, for 10 minutes.");
    expect(mail.html).toContain('<html lang="en">');
    expect(mail.html).not.toContain("<a ");
    expect((await authorize(tenant, { verification_code: codeIn(mail) })).status).toBe(302);
    expect(
      (await call(`${tenant.base}/sandbox/messages`, { token: tenant.token })).status,
      "production has no sandbox",
    ).toBe(404);
  });

  it("puts a client's name into subject and HTML without letting it break out", async () => {
    const tenant = await production();
    const name = "A<b>&\"'</title>\r\nBcc: eve@example.com\u202e";
    const changed = await call(`${tenant.base}/auth/clients/${tenant.client.id}`, {
      method: "PATCH",
      token: tenant.token,
      json: { name },
    });
    expect(changed.status).toBe(200);
    const before = mailbox.mails.length;
    await askForCode(tenant);
    const mail = await until("mail", () => mailbox.mails[before]);
    expect(mail.subject).toBe("Your login code for A<b>&\"'</title> Bcc: eve@example.com");
    expect(mail.bcc).toBeUndefined();
    expect(mail.html).not.toMatch(/<b>|<\/title>.*<\/title>/s);
    expect(mail.html).toContain("A&lt;b&gt;&amp;&quot;&#39;&lt;/title&gt; Bcc");
  });

  it("carries a link where the client has a page for it, with the code in the fragment", async () => {
    const tenant = await production({ client: { login_uri: "https://shop.example/login" } });
    await askForCode(tenant);
    const mail = await mailTo(tenant.user.email);
    const [, link] =
      /href="https:\/\/shop\.example\/login#verification_code=([\w-]{43})"/.exec(String(mail.html)) ?? [];
    expect(link).toBeDefined();
    expect((await authorize(tenant, { verification_code: link })).status).toBe(302);
    expect(
      (await authorize(tenant, { verification_code: codeIn(mail) })).body.error.code,
      "one challenge, two renderings",
    ).toBe("verification_code_used");
  });

  it("answers while the mail server is down, and mails once when it comes back", async () => {
    const tenant = await production();
    await mailbox.stop();
    expect((await askForCode(tenant)).status).toBe(204);
    const { storage } = latchkey.server.core;
    const row = () =>
      storage.read
        .selectFrom("outbox")
        .select(["state", "attempts", "last_error"])
        .where("account_id", "=", tenant.account_id)
        .executeTakeFirstOrThrow();
    await until("a failed attempt", async () => ((await row()).last_error !== null ? true : undefined));
    expect(await row()).toMatchObject({
      state: "pending",
      last_error: expect.stringMatching(/mail server does not answer/),
    });
    await mailbox.start();
    const mail = await mailTo(tenant.user.email);
    await until("the note", async () => ((await row()).state === "sent" ? true : undefined));
    expect(mailbox.mails.filter(({ messageId }) => messageId === mail.messageId)).toHaveLength(1);
    expect((await authorize(tenant, { verification_code: codeIn(mail) })).status).toBe(302);
  });

  it("a test account never reaches a real address", async () => {
    const tenant = await createTenant(latchkey);
    const before = mailbox.mails.length;
    await receiveCode(tenant);
    // A row that claims otherwise is not believed either.
    const { storage } = latchkey.server.core;
    const due = { channel: "mail", state: "pending", next_attempt_at: new Date(0).toISOString() };
    await storage.write((tx) =>
      tx.db.updateTable("outbox").set(due).where("account_id", "=", tenant.account_id).execute(),
    );
    const failed = await until("the refusal", async () =>
      storage.read
        .selectFrom("outbox")
        .select("last_error")
        .where("account_id", "=", tenant.account_id)
        .where("state", "=", "failed")
        .executeTakeFirst(),
    );
    expect(failed.last_error).toBe("a test account sends nothing");
    expect(mailbox.mails.length).toBe(before);
  });

  it("without SMTP_URL and SMS_URL it answers, and tells log, audit and /readyz", async () => {
    const bare = await startLatchkey(engine);
    try {
      const tenant = await createTenant(bare, { account_id: newAccountId("P") });
      expect((await askForCode(tenant)).status).toBe(204);
      const audit = () =>
        bare.server.core.storage.read
          .selectFrom("audit_events")
          .select("context")
          .where("action", "=", "message.undeliverable")
          .executeTakeFirst();
      const event = await until("the audit event", audit);
      expect(JSON.parse(event.context)).toMatchObject({ reason: "SMTP_URL is not set", channel: "mail" });
      const ready = await call(`${bare.url}/readyz`);
      expect([ready.status, ready.body.degraded]).toEqual([200, { undeliverable_messages: 1 }]);
    } finally {
      await bare.close();
    }
  });

  it("sends SMS through a signed webhook, which gets the code that was mailed", async () => {
    let answers = 0;
    const { close, port, all } = await openReceiver(() => (answers++ === 0 ? [503, "{}"] : [202, "{}"]));
    opened.push(() => void close());
    const env = {
      SMTP_URL: mailbox.url,
      MAIL_FROM: "login@latchkey.example",
      SMS_URL: `http://:topsecret@127.0.0.1:${port}/sms?x=1`,
      EGRESS_ALLOW: "127.0.0.0/8",
    };
    const own = await startLatchkey(engine, { env });
    try {
      const tenant = await createTenant(own, {
        account_id: newAccountId("P"),
        client: { login_uri: "https://shop.example/login" },
      });
      const asked = await askForCode(tenant);
      const mail = await mailTo(tenant.user.email);
      await askForCode(tenant, { connection: "sms", login_session_id: asked.headers.get("login-session-id") ?? "" });
      const sms = await until("the SMS", () => all[1]);
      const { to, text, id, account_id } = JSON.parse(sms.body);
      expect([sms.path, to, account_id]).toEqual(["/sms?x=1", tenant.user.phone_number, tenant.account_id]);
      expect(text).toContain(codeIn(mail));
      expect(text).toMatch(new RegExp(`@shop\\.example #${codeIn(mail)}$`));
      expect(sms.headers["idempotency-key"]).toBe(id);
      expect(all[0]?.headers["idempotency-key"], "a retry is recognisable").toBe(id);
      const [, t, v1] = /^t=(\d+),v1=([0-9a-f]{64})$/.exec(String(sms.headers["latchkey-signature"])) ?? [];
      expect(v1).toBe(createHmac("sha256", "topsecret").update(`${t}.${sms.body}`).digest("hex"));
      expect((await authorize(tenant, { verification_code: codeIn(mail), connection: "sms" })).status).toBe(302);
    } finally {
      await own.close();
    }
  });

  it("sends SMS through anything of Twilio's shape, and gives up a number that cannot be reached", async () => {
    const { close, port, all } = await openReceiver(({ body }) =>
      body.includes("40999999") ? [400, '{"code":21614,"message":"not a mobile number"}'] : [201, '{"sid":"SM1"}'],
    );
    opened.push(() => void close());
    const base = encodeURIComponent(`http://127.0.0.1:${port}`);
    const env = { SMS_URL: `twilio://AC123:to%40ken@Shop?base=${base}`, EGRESS_ALLOW: "127.0.0.1" };
    const own = await startLatchkey(engine, { env });
    try {
      const tenant = await createTenant(own, { account_id: newAccountId("P") });
      await askForCode(tenant, { connection: "sms" });
      const sms = await until("the SMS", () => all[0]);
      expect(sms.path).toBe("/2010-04-01/Accounts/AC123/Messages.json");
      expect(sms.headers.authorization).toBe(`Basic ${Buffer.from("AC123:to@ken").toString("base64")}`);
      const form = new URLSearchParams(sms.body);
      expect(form.get("To")).toBe(tenant.user.phone_number);
      const code = /(\w{5}-\w{5})/.exec(form.get("Body") ?? "")?.[1];
      expect((await authorize(tenant, { verification_code: code })).status).toBe(302);
      const dead = await addUser(own, tenant.account_id, { phone_number: "+4740999999" });
      await askForCode(tenant, { connection: "sms", phone_number: dead.phone_number });
      const failed = await until("the failure", async () =>
        own.server.core.storage.read
          .selectFrom("outbox")
          .select(["last_error", "attempts"])
          .where("state", "=", "failed")
          .executeTakeFirst(),
      );
      expect(failed).toEqual({ last_error: "the SMS provider answered 400 (21614)", attempts: 1 });
    } finally {
      await own.close();
    }
  });
});

/** Servers that take a connection and never answer hold up what goes to them, and nobody's codes. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  askForCode,
  CALLBACK,
  createTenant,
  type Latchkey,
  newAccountId,
  startLatchkey,
} from "../support/latchkey.ts";
import { openNames } from "../support/names.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { openSilentServer, type SilentServer } from "../support/silent.ts";
import { type Mailbox, openMailbox, recipientOf, until } from "../support/smtp.ts";
import { answered, pkce, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

/** More than a process sends at once. */
const MANY = 40;

describeOnBothEngines("a server that never answers", (engine) => {
  let mailbox: Mailbox;
  let provider: Receiver;
  let silent: SilentServer;
  let latchkey: Latchkey;
  beforeAll(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    provider = await openReceiver(() => [202, "{}"]);
  });
  afterAll(async () => {
    await mailbox.stop();
    await provider.close();
  });

  /** Runs `work` with this mail server, beside a silent one. */
  async function beside(smtp_host: (silent: SilentServer) => string, work: () => Promise<void>): Promise<void> {
    silent = await openSilentServer();
    const env = {
      SMTP_URL: `smtp://${smtp_host(silent)}`,
      MAIL_FROM: "login@latchkey.example",
      SMS_URL: `http://:topsecret@127.0.0.1:${provider.port}/sms`,
      EGRESS_ALLOW: "127.0.0.0/8",
    };
    latchkey = await startLatchkey(engine, { env });
    try {
      await work();
    } finally {
      await silent.close();
      await latchkey.close();
    }
  }

  it("holds up no other tenant's codes where clients named it for their logouts", async () => {
    await beside(
      () => `127.0.0.1:${mailbox.port}`,
      async () => {
        const tenant = await createTenant(latchkey);
        const surfer = openSurfer(latchkey);
        const email = tenant.user.email;
        let id_token = "";
        for (let n = 0; n < MANY; n++) {
          const telling = { first_party: true, backchannel_logout_uri: `http://${silent.host}/${n}` };
          const client = await addClient(latchkey, tenant.account_id, telling);
          const standard = standardClient(latchkey, tenant, client);
          const shown = n === 0 ? await surfer.logIn(standard.address(), tenant, email) : undefined;
          const arrived = answered(shown ?? (await surfer.visit(standard.address(client, { prompt: "none" }))));
          const code = arrived.get("code") ?? "";
          if (n === 0) id_token = (await standard.redeem(code)).body.id_token;
          expect(code).toBeTruthy();
        }
        await surfer.visit(`${tenant.issuer}/oauth/logout?${new URLSearchParams({ id_token_hint: id_token })}`);
        await until("a logout to hang", () => silent.taken > 0 || undefined);
        const other = await createTenant(latchkey, { account_id: newAccountId("P") });
        await askForCode(other);
        await until("the code", () => mailbox.mails.find((mail) => recipientOf(mail) === other.user.email), 120_000);
        expect(silent.taken, "the code went before most logouts were even tried").toBeLessThan(MANY / 2);
      },
    );
  });

  it("holds up no other tenant's codes where it takes its time over those of one", async () => {
    const slow = new Set<string>();
    let goOn = () => {};
    const hours = new Promise<void>((resolve) => {
      goOn = resolve;
    });
    let waiting = 0;
    mailbox.beforeAccept = async (mail) => {
      if (!slow.has(recipientOf(mail))) return;
      waiting += 1;
      await hours;
    };
    await beside(
      () => `127.0.0.1:${mailbox.port}`,
      async () => {
        const [busy, other] = [newAccountId("P"), newAccountId("P")];
        const tenant = await createTenant(latchkey, { account_id: busy });
        for (let n = 0; n < MANY; n++) {
          const { email } = await addUser(latchkey, tenant.account_id);
          slow.add(email);
          expect((await askForCode(tenant, { email })).status).toBe(204);
        }
        await until("mails to hang", () => waiting >= 5 || undefined);
        const beside = await createTenant(latchkey, { account_id: other });
        await askForCode(beside);
        await until("the code", () => mailbox.mails.find((mail) => recipientOf(mail) === beside.user.email), 60_000);
        expect(waiting, "and most of the others had not even been tried").toBeLessThan(MANY / 2);
        goOn();
        mailbox.beforeAccept = undefined;
      },
    );
  });

  it("holds up no SMS where it is the mail server", async () => {
    await beside(
      ({ host }) => host,
      async () => {
        const tenant = await createTenant(latchkey, { account_id: newAccountId("P") });
        for (let n = 0; n < MANY; n++) {
          const { email } = await addUser(latchkey, tenant.account_id);
          expect((await askForCode(tenant, { email })).status).toBe(204);
        }
        await until("a mail to hang", () => silent.taken > 0 || undefined);
        const { phone_number } = tenant.user;
        expect((await askForCode(tenant, { connection: "sms", phone_number })).status).toBe(204);
        await until("the SMS", () => provider.all.find(({ body }) => body.includes(phone_number)), 150_000);
        expect(silent.taken, "the SMS went before most mails were even tried").toBeLessThan(MANY / 2);
      },
    );
  });

  it("holds up no SMS where it is the nameserver of what strangers name", async () => {
    const names = await openNames();
    const sms_url = `http://:topsecret@localhost:${provider.port}/sms`;
    const latchkey = await startLatchkey(engine, { env: { SMS_URL: sms_url, EGRESS_ALLOW: "127.0.0.0/8" } });
    try {
      const tenant = await createTenant(latchkey, { account_id: newAccountId("P") });
      const { phone_number } = tenant.user;
      const strangers = Array.from({ length: 10 }, (_, n) => {
        const client_id = `https://n${n}.silent.test/client`;
        const about = { client_id, redirect_uri: CALLBACK, response_type: "code", scope: "openid", ...pkce };
        return openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
      });
      await until("ten silent names", () => names.sought.size === strangers.length || undefined);
      expect((await askForCode(tenant, { connection: "sms", phone_number })).status).toBe(204);
      await until("the SMS", () => provider.all.find(({ body }) => body.includes(phone_number)), 60_000);
      expect([...names.looked_up]).toEqual(["localhost"]);
      for (const { status } of await Promise.all(strangers)) expect(status).toBe(400);
    } finally {
      await latchkey.close();
      await names.close();
    }
  });
});

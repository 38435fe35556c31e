/** A server that dies while it hands a mail over: before the mail server's yes the mail arrives once, after it at most twice. */
import { afterAll, afterEach, beforeAll, beforeEach, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { askForCode, authorize, newAccountId, type Tenant } from "../support/latchkey.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { codeIn, type Mailbox, openMailbox, until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";

describeOnBothEngines("kill -9 while mail is handed over", (engine) => {
  let database: TestDatabase;
  let port: number;
  let server: ServerProcess;
  let mailbox: Mailbox;
  let tenant: Tenant;
  const env = () => ({
    PUBLIC_URL: `http://localhost:${port}`,
    SMTP_URL: mailbox.url,
    MAIL_FROM: "login@latchkey.example",
  });
  const start = () => startProcess({ database_url: database.database_url, port, env: env() });
  beforeAll(async () => {
    database = await createTestDatabase(engine);
    port = await freePort();
  });
  beforeEach(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    server = await start();
    const account_id = newAccountId("P");
    tenant = await createTenantBeside(database.database_url, server.url, env().PUBLIC_URL, { account_id });
  });
  afterEach(async () => {
    await server.kill("SIGTERM");
    await mailbox.stop();
  });
  afterAll(() => database.drop());

  it("before the 250: once after the restart", { timeout: 120_000 }, async () => {
    let stalled = 0;
    mailbox.beforeAccept = () => {
      stalled++;
      return new Promise(() => {});
    };
    expect((await askForCode(tenant)).status).toBe(204);
    await until("the mail at the server's door", () => (stalled > 0 ? true : undefined));
    await server.kill("SIGKILL");
    const refused = mailbox.mails.length;
    mailbox.beforeAccept = undefined;
    server = await start();
    const mail = await until("the mail after the restart", () => mailbox.mails[refused], 90_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(mailbox.mails.length - refused, "accepted once").toBe(1);
    expect((await authorize(tenant, { verification_code: codeIn(mail) })).status).toBe(302);
  });

  it("after the 250: at most twice, and recognisably the same", { timeout: 120_000 }, async () => {
    let accepted = () => {};
    const acceptance = new Promise<void>((resolve) => {
      accepted = resolve;
    });
    mailbox.beforeAccept = async () => accepted();
    expect((await askForCode(tenant)).status).toBe(204);
    await acceptance;
    await server.kill("SIGKILL");
    mailbox.beforeAccept = undefined;
    server = await start();
    await new Promise((resolve) => setTimeout(resolve, engine === "sqlite" ? 3_000 : 34_000));
    expect(mailbox.mails.length).toBeGreaterThanOrEqual(1);
    expect(mailbox.mails.length).toBeLessThanOrEqual(2);
    expect(new Set(mailbox.mails.map(({ messageId }) => messageId)).size).toBe(1);
    expect(new Set(mailbox.mails.map(codeIn)).size).toBe(1);
  });
});

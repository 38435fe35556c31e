/**
 * A server that dies while it hands a mail over: before the mail server's yes the mail arrives once, after it at most
 * twice. Both engines at once, since what is waited for is the outbox's patience.
 */
import { describe, expect, it, type TestContext } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import type { Engine } from "../../src/storage/storage.ts";
import { createTestDatabase, engines } from "../support/engines.ts";
import { askForCode, authorize, newAccountId } from "../support/latchkey.ts";
import { startProcess } from "../support/process.ts";
import { codeIn, openMailbox, until } from "../support/smtp.ts";
import { createTenantBeside } from "../support/tenants.ts";

/** A server with a mail server of its own, until the test is over. */
async function open(engine: Engine, { onTestFinished }: TestContext) {
  const database = await createTestDatabase(engine);
  const port = await freePort();
  const mailbox = await openMailbox();
  await mailbox.start();
  const PUBLIC_URL = `http://localhost:${port}`;
  const env = { PUBLIC_URL, SMTP_URL: mailbox.url, MAIL_FROM: "login@latchkey.example" };
  const start = () => startProcess({ database_url: database.database_url, port, env });
  let server = await start();
  onTestFinished(async () => {
    await server.kill("SIGTERM");
    await mailbox.stop();
    await database.drop();
  });
  const account_id = newAccountId("P");
  const tenant = await createTenantBeside(database.database_url, server.url, PUBLIC_URL, { account_id });
  const kill = () => server.kill("SIGKILL");
  const startAgain = async () => {
    server = await start();
  };
  return { mailbox, tenant, kill, startAgain };
}

describe.concurrent.each(engines)("kill -9 while mail is handed over (%s)", (engine) => {
  it("before the 250: once after the restart", { timeout: 240_000 }, async (context) => {
    const { mailbox, tenant, kill, startAgain } = await open(engine, context);
    let stalled = 0;
    mailbox.beforeAccept = () => {
      stalled++;
      return new Promise(() => {});
    };
    expect((await askForCode(tenant)).status).toBe(204);
    await until("the mail at the server's door", () => (stalled > 0 ? true : undefined));
    await kill();
    const refused = mailbox.mails.length;
    mailbox.beforeAccept = undefined;
    await startAgain();
    const mail = await until("the mail after the restart", () => mailbox.mails[refused], 120_000);
    await new Promise((resolve) => setTimeout(resolve, 1_500));
    expect(mailbox.mails.length - refused, "accepted once").toBe(1);
    expect((await authorize(tenant, { verification_code: codeIn(mail) })).status).toBe(302);
  });

  it("after the 250: at most twice, and recognisably the same", { timeout: 240_000 }, async (context) => {
    const { mailbox, tenant, kill, startAgain } = await open(engine, context);
    let accepted = () => {};
    const acceptance = new Promise<void>((resolve) => {
      accepted = resolve;
    });
    mailbox.beforeAccept = async () => accepted();
    expect((await askForCode(tenant)).status).toBe(204);
    await acceptance;
    await kill();
    mailbox.beforeAccept = undefined;
    await startAgain();
    await new Promise((resolve) => setTimeout(resolve, engine === "sqlite" ? 3_000 : 34_000));
    expect(mailbox.mails.length).toBeGreaterThanOrEqual(1);
    expect(mailbox.mails.length).toBeLessThanOrEqual(2);
    expect(new Set(mailbox.mails.map(({ messageId }) => messageId)).size).toBe(1);
    expect(new Set(mailbox.mails.map(codeIn)).size).toBe(1);
  });
});

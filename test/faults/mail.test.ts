/**
 * The mail server is away, silent, slow, unwilling or forgetful: whoever asks for a code is answered at once, the mail
 * arrives when it can, nobody waits behind another, and a code that arrives twice works once.
 */
import { afterAll, afterEach, beforeAll, expect, it } from "vitest";
import { createTestDatabase, describeOnBothEngines, type TestDatabase } from "../support/engines.ts";
import { askForCode, authorize, call, newAccountId, type Tenant } from "../support/latchkey.ts";
import { note } from "../support/load.ts";
import { type ServerProcess, startProcess } from "../support/process.ts";
import { codeIn, type Mailbox, openMailbox, recipientOf, until } from "../support/smtp.ts";
import { addPerson, createTenantBeside } from "../support/tenants.ts";
import { openWire, pause, type Wire } from "../support/wire.ts";

const PUBLIC_URL = "http://localhost:9";
const PEOPLE = 6;
/** Milliseconds; nobody who asks for a code waits for a mail server. A connection is given 10 s for its greeting. */
const AT_ONCE = 8_000;
/** How long a fault lasts: in the long form longer than any connection is waited for. */
const LASTS = process.env.FAULT_ROUNDS ? 40_000 : 2_000;

describeOnBothEngines("mail", (engine) => {
  let database: TestDatabase;
  let mailbox: Mailbox;
  let wire: Wire;
  let server: ServerProcess;
  let tenant: Tenant;
  beforeAll(async () => {
    database = await createTestDatabase(engine);
    mailbox = await openMailbox();
    await mailbox.start();
    wire = await openWire(mailbox.port);
    const env = { PUBLIC_URL, SMTP_URL: `smtp://127.0.0.1:${wire.port}`, MAIL_FROM: "login@latchkey.example" };
    server = await startProcess({ database_url: database.database_url, env });
    const account_id = newAccountId("P");
    tenant = await createTenantBeside(database.database_url, server.url, PUBLIC_URL, { account_id });
  });
  afterEach(() => {
    mailbox.beforeAccept = undefined;
    mailbox.refuse = () => undefined;
    Object.assign(wire, { delay: 0, frozen: false });
  });
  afterAll(async () => {
    await server.kill("SIGTERM");
    await wire.close();
    await mailbox.stop();
    await database.drop();
  });

  const mailsTo = (address: string) => mailbox.mails.filter((mail) => recipientOf(mail) === address);
  /** What is accepted from now on, since a mail that was not accepted is in `mails` as well. */
  const arrived = (addresses: readonly string[], from = 0) =>
    until("everybody's mail", () => addresses.every((address) => mailsTo(address).length > from) || undefined, 120_000);

  /** Asks for a code for each of them; everybody is answered at once. */
  async function ask(names: readonly string[]): Promise<string[]> {
    const addresses = names.map((name) => `${name}-${Math.random().toString(36).slice(2)}@example.com`);
    for (const address of addresses) await addPerson(tenant, address);
    const asked = addresses.map(async (email) => {
      const began = performance.now();
      const { status } = await askForCode(tenant, { email });
      return { status, at_once: performance.now() - began < AT_ONCE };
    });
    for (const answer of await Promise.all(asked)) expect(answer).toEqual({ status: 204, at_once: true });
    return addresses;
  }
  const people = (name: string) => Array.from({ length: PEOPLE }, () => name);

  /** Everybody's code works once; mails that came twice are one and the same. */
  async function judge(fault: string, addresses: readonly string[], back_ms: number): Promise<void> {
    let [lost, twice] = [0, 0];
    for (const address of addresses) {
      const mails = mailsTo(address);
      expect(new Set(mails.map(({ messageId }) => messageId)).size, "one message").toBe(1);
      const codes = [...new Set(mails.map(codeIn))];
      expect(codes).toHaveLength(1);
      const answers = [];
      for (let tries = 0; tries < 2; tries++)
        answers.push((await authorize(tenant, { verification_code: codes[0] })).status);
      if (answers[0] !== 302) lost++;
      if (answers[1] === 302) twice++;
    }
    note({
      fault: `mail server ${fault}`,
      engine,
      runs: 1,
      acknowledged: addresses.length,
      lost,
      twice,
      hung: 0,
      back_ms,
    });
    expect({ lost, twice }).toEqual({ lost: 0, twice: 0 });
  }
  async function since(began: number, work: Promise<unknown>): Promise<number> {
    await work;
    return Math.round(performance.now() - began);
  }

  for (const [fault, hold, release] of [
    ["refuses connections", () => mailbox.stop(), () => mailbox.start()],
    ["says nothing", () => Object.assign(wire, { frozen: true }), () => Object.assign(wire, { frozen: false })],
    [
      "answers 451 to every recipient",
      () => {
        mailbox.refuse = () => 451;
      },
      () => {
        mailbox.refuse = () => undefined;
      },
    ],
  ] as const) {
    it(fault, { timeout: 240_000 }, async () => {
      await hold();
      const addresses = await ask(people("waiting"));
      await pause(LASTS);
      expect(addresses.flatMap(mailsTo), "it was in effect").toEqual([]);
      await release();
      const back_ms = await since(performance.now(), arrived(addresses));
      await judge(fault, addresses, back_ms);
    });
  }

  it("takes its time", { timeout: 240_000 }, async () => {
    wire.delay = 200;
    const began = performance.now();
    const addresses = await ask(people("slow"));
    const back_ms = await since(began, arrived(addresses));
    // A greeting, a hello, a sender, a recipient and a message, there and back.
    expect(back_ms).toBeGreaterThan(1_000);
    wire.delay = 0;
    await judge("slow, 200 ms each way", addresses, back_ms);
  });

  it("never answers to some people's mail: the others do not wait behind it", { timeout: 240_000 }, async () => {
    const held = new Set<() => void>();
    mailbox.beforeAccept = (mail) =>
      recipientOf(mail).startsWith("held") ? new Promise((resolve) => held.add(resolve)) : Promise.resolve();
    const stuck = await ask(["held", "held", "held"]);
    await until("them to be held", () => held.size === 3 || undefined);
    const others = await ask(people("other"));
    await arrived(others);
    expect(held.size, "it was in effect").toBeGreaterThan(0);
    await pause(LASTS);
    const before = stuck.map((address) => mailsTo(address).length);
    expect(Math.min(...before)).toBeGreaterThan(0);
    mailbox.beforeAccept = undefined;
    const released = performance.now();
    // As a mail server does that is started again.
    wire.cut();
    wire.mend();
    const again = () => stuck.every((address, n) => mailsTo(address).length > (before[n] ?? 0)) || undefined;
    const back_ms = await since(released, until("the mails that were held", again, 120_000));
    await judge("never answers to some", [...stuck, ...others], back_ms);
  });

  it("accepts, and is cut off before it can say so: the mail comes twice, its code works once", {
    timeout: 240_000,
  }, async () => {
    const cut = new Set<string>();
    mailbox.beforeAccept = async (mail) => {
      if (cut.has(recipientOf(mail))) return;
      cut.add(recipientOf(mail));
      wire.cut();
      wire.mend();
    };
    const began = performance.now();
    const addresses = await ask(people("twice"));
    const back_ms = await since(began, arrived(addresses, 1));
    expect(cut.size).toBe(PEOPLE);
    await judge("accepts, and its answer is lost", addresses, back_ms);
  });

  it("refuses some people for good: they are not tried again, and everybody else is served", {
    timeout: 240_000,
  }, async () => {
    let tries = 0;
    mailbox.refuse = (address) => {
      if (!address.startsWith("gone")) return undefined;
      tries++;
      return 550;
    };
    const gone = await ask(["gone", "gone"]);
    const began = performance.now();
    const others = await ask(people("here"));
    const back_ms = await since(began, arrived(others));
    const degraded = async () => (await call(`${server.url}/readyz`)).body?.degraded?.undeliverable_messages;
    await until("the operator to be told", async () => (await degraded()) === gone.length || undefined);
    await pause(LASTS);
    expect(tries).toBe(gone.length);
    expect(gone.flatMap(mailsTo)).toEqual([]);
    await judge("answers 550 to some", others, back_ms);
  });
});

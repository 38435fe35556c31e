import { randomUUID } from "node:crypto";
import { type AddressInfo, createServer } from "node:net";
import { expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { openMailbox, recipientOf, until } from "../../test/support/smtp.ts";
import { secret } from "../secrets/secret.ts";
import type { Mail } from "./delivery.ts";
import { openSmtp } from "./smtp.ts";

/** Milliseconds for which an answer is held back; longer than a mail has until the server has it. */
const HELD = 7_000;

function mailOf(name: string): Mail {
  const text = secret("Hello.");
  return { to: `${name}@example.com`, subject: "Hello", text, html: text, id: randomUUID(), language: "en" };
}

it("does not send afterwards what was given up while it waited for a connection", async () => {
  const mailbox = await openMailbox();
  await mailbox.start();
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  mailbox.beforeAccept = () => held;
  const smtp = await openSmtp({ url: mailbox.url, from: "login@latchkey.example" });
  const send = (name: string, signal: AbortSignal) => smtp.send(mailOf(name), signal);
  const patient = new AbortController().signal;
  const first = Array.from({ length: 6 }, (_, n) => send(`first-${n}`, patient));
  await until("all connections to be busy", () => mailbox.mails.length === 6 || undefined);
  const giver_up = new AbortController();
  const given_up = send("given-up", giver_up.signal);
  const last = send("last", patient);
  giver_up.abort(new Error("given up"));
  await expect(given_up).rejects.toThrow("given up");
  goOn();
  await Promise.all([...first, last]);
  expect(mailbox.mails.map(recipientOf).toSorted()).toEqual(
    [...[0, 1, 2, 3, 4, 5].map((n) => `first-${n}@example.com`), "last@example.com"].toSorted(),
  );
  smtp.close();
  await mailbox.stop();
});

it("waits for the answer to a whole mail for longer than for anything before", async () => {
  const mailbox = await openMailbox();
  await mailbox.start();
  mailbox.beforeAccept = () => new Promise((resolve) => setTimeout(resolve, HELD));
  const smtp = await openSmtp({ url: mailbox.url, from: "login@latchkey.example", hand_over: 5_000 });
  await smtp.send(mailOf("ada"), new AbortController().signal);
  expect(mailbox.mails).toHaveLength(1);
  smtp.close();
  await mailbox.stop();
});

it("gives up a server that falls silent before it has the mail", async () => {
  const server = createServer((socket) => socket.on("error", () => {}).write("220 ready\r\n"));
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  const url = `smtp://127.0.0.1:${(server.address() as AddressInfo).port}`;
  const smtp = await openSmtp({ url, from: "login@latchkey.example", hand_over: 500 });
  const sent = smtp.send(mailOf("ada"), new AbortController().signal);
  await expect(sent).rejects.toThrow("the mail server does not answer (ETIMEDOUT)");
  smtp.close();
  server.close();
});

/** Speaks no TLS, and notes what it is told. */
async function openClearServer() {
  const told: string[] = [];
  const answers: Record<string, string> = {
    EHLO: "250-here\r\n250 AUTH PLAIN",
    AUTH: "235 welcome",
    STARTTLS: "502 no",
  };
  const server = createServer((socket) => {
    socket.on("error", () => {}).write("220 ready\r\n");
    socket.on("data", (data) => {
      const [verb = ""] = data.toString().split(/[\s]/);
      told.push(verb);
      socket.write(`${answers[verb] ?? "421 bye"}\r\n`);
    });
  });
  await new Promise<void>((resolve) => server.listen(0, "127.0.0.1", resolve));
  return { told, port: (server.address() as AddressInfo).port, close: () => server.close() };
}

it.each([
  // By another name than that of this machine.
  ["0.0.0.0", "", false],
  ["0.0.0.0", "?requireTLS=false", true],
  ["127.0.0.1", "", true],
  ["localhost", "", true],
])(
  "tells a server without TLS no password, unless it is on this machine or may be told (%s%s)",
  async (host, query, told) => {
    const server = await openClearServer();
    const url = `smtp://user:password@${host}:${server.port}${query}`;
    const smtp = await openSmtp({ url, from: "login@latchkey.example" });
    const error = await smtp.send(mailOf("ada"), new AbortController().signal).catch(({ message }: Error) => message);
    smtp.close();
    server.close();
    expect(server.told.includes("AUTH")).toBe(told);
    expect(error).toBe(told ? "the mail server answered 421" : "the mail server does not speak TLS (ETLS)");
  },
);

it("says by its code why the mail server was not reached", async () => {
  const mailbox = await openMailbox({ secure: true });
  await mailbox.start();
  const reasonAt = async (url: string) => {
    const smtp = await openSmtp({ url, from: "login@latchkey.example" });
    const error = await smtp.send(mailOf("ada"), new AbortController().signal).catch((error: Error) => error);
    smtp.close();
    return (error as Error).message;
  };
  expect(await reasonAt(mailbox.url)).toMatch(/^the mail server does not answer \(\w*(CERT|UNABLE_TO)\w*\)$/);
  expect(await reasonAt(`smtp://127.0.0.1:${await freePort()}`)).toBe("the mail server does not answer (ECONNREFUSED)");
  await mailbox.stop();
});

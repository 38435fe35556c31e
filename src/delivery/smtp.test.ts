import { randomUUID } from "node:crypto";
import { expect, it } from "vitest";
import { openMailbox, recipientOf, until } from "../../test/support/smtp.ts";
import { secret } from "../secrets/secret.ts";
import { openSmtp } from "./smtp.ts";

it("does not send afterwards what was given up while it waited for a connection", async () => {
  const mailbox = await openMailbox();
  await mailbox.start();
  let goOn = () => {};
  const held = new Promise<void>((resolve) => {
    goOn = resolve;
  });
  mailbox.beforeAccept = () => held;
  const smtp = await openSmtp({ url: mailbox.url, from: "login@latchkey.example" });
  const send = (name: string, signal: AbortSignal) => {
    const text = secret("Hello.");
    const mail = { to: `${name}@example.com`, subject: "Hello", text, html: text, id: randomUUID(), language: "en" };
    return smtp.send(mail, signal);
  };
  const patient = new AbortController().signal;
  const first = Array.from({ length: 5 }, (_, n) => send(`first-${n}`, patient));
  await until("all connections to be busy", () => mailbox.mails.length === 5 || undefined);
  const giver_up = new AbortController();
  const given_up = send("given-up", giver_up.signal);
  const last = send("last", patient);
  giver_up.abort(new Error("given up"));
  await expect(given_up).rejects.toThrow("given up");
  goOn();
  await Promise.all([...first, last]);
  expect(mailbox.mails.map(recipientOf).toSorted()).toEqual(
    [...[0, 1, 2, 3, 4].map((n) => `first-${n}@example.com`), "last@example.com"].toSorted(),
  );
  smtp.close();
  await mailbox.stop();
});

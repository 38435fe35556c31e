import { undeliverable } from "../outbox/outbox.ts";
import { reveal } from "../secrets/secret.ts";
import type { MailProvider } from "./delivery.ts";

export interface SmtpOptions {
  /** SMTP_URL */
  readonly url: string;
  /** MAIL_FROM */
  readonly from: string;
}

interface SmtpError extends Error {
  readonly responseCode?: number;
  readonly code?: string;
}

/** Mail over SMTP, with connections kept open. Resolves at the server's 250 (RFC 5321 §4.2.5). */
export async function openSmtp({ url, from }: SmtpOptions): Promise<MailProvider> {
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: 5,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  } as never);
  const domain = /@([^\s>]+)>?$/.exec(from)?.[1] ?? "latchkey.invalid";
  return {
    async send({ id, to, subject, text, html, language }, signal) {
      signal.throwIfAborted();
      const mail = {
        from,
        to: { name: "", address: to },
        subject,
        text: reveal(text),
        html: reveal(html),
        messageId: `<${id}@${domain}>`,
        headers: {
          "Auto-Submitted": "auto-generated",
          "X-Auto-Response-Suppress": "All",
          "Content-Language": language,
        },
      };
      await transport.sendMail(mail).catch((error: SmtpError) => {
        throw reasonOf(error);
      });
    },
    close: () => transport.close(),
  };
}

/** The server's own words stay out: some repeat what they were sent. */
function reasonOf({ responseCode, code }: SmtpError): Error {
  const reason =
    responseCode === undefined
      ? `the mail server does not answer (${code ?? "unknown"})`
      : `the mail server answered ${responseCode}`;
  // 550 to 553: no such mailbox, or none that takes mail; another attempt meets the same answer (RFC 5321 §4.2.3).
  const permanent = code === "EENVELOPE" && responseCode !== undefined && responseCode >= 550 && responseCode <= 553;
  return permanent ? undeliverable(reason) : new Error(reason);
}

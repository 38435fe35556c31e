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
  /** Of the socket, where the library put its own code over it. */
  readonly originalCode?: string;
}

const CONNECTIONS = 5;

/** Mail over SMTP, with connections kept open. Resolves at the server's 250 (RFC 5321 §4.2.5). */
export async function openSmtp({ url, from }: SmtpOptions): Promise<MailProvider> {
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    url,
    pool: true,
    maxConnections: CONNECTIONS,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: 30_000,
    disableFileAccess: true,
    disableUrlAccess: true,
  } as never);
  const domain = /@([^\s>]+)>?$/.exec(from)?.[1] ?? "latchkey.invalid";
  const places = openPlaces(CONNECTIONS);
  return {
    async send({ id, to, subject, text, html, language }, signal) {
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
      await places.take(signal);
      await transport
        .sendMail(mail)
        .catch((error: SmtpError) => {
          throw reasonOf(error);
        })
        .finally(places.giveBack);
    },
    close: () => transport.close(),
  };
}

/**
 * One place a connection. The transport would queue what finds none free and send it in the end, even when it was given
 * up long ago and tried again: so whoever waits, waits here, and leaves when `signal` says so.
 */
function openPlaces(count: number) {
  let free = count;
  const waiting = new Set<() => void>();
  return {
    async take(signal: AbortSignal): Promise<void> {
      signal.throwIfAborted();
      if (free > 0) return void free--;
      await new Promise<void>((resolve, reject) => {
        const leave = () => {
          waiting.delete(enter);
          reject(signal.reason);
        };
        const enter = () => {
          signal.removeEventListener("abort", leave);
          resolve();
        };
        waiting.add(enter);
        signal.addEventListener("abort", leave, { once: true });
      });
    },
    giveBack(): void {
      const [next] = waiting;
      if (!next) return void free++;
      waiting.delete(next);
      next();
    },
  };
}

/** What failed, as a code and nothing more, such as `ECONNREFUSED`. */
export const faultCode = ({ originalCode, code }: Pick<SmtpError, "originalCode" | "code">): string =>
  originalCode ?? code ?? "unknown";

/** The server's own words stay out: some repeat what they were sent. */
function reasonOf(error: SmtpError): Error {
  const { responseCode, code } = error;
  const reason =
    responseCode === undefined
      ? `the mail server does not answer (${faultCode(error)})`
      : `the mail server answered ${responseCode}`;
  // 550 to 553: no such mailbox, or none that takes mail; another attempt meets the same answer (RFC 5321 §4.2.3).
  const permanent = code === "EENVELOPE" && responseCode !== undefined && responseCode >= 550 && responseCode <= 553;
  return permanent ? undeliverable(reason) : new Error(reason);
}

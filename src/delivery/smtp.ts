import { isLoopbackUrl } from "../config.ts";
import { undeliverable } from "../outbox/outbox.ts";
import { reveal } from "../secrets/secret.ts";
import type { MailProvider } from "./delivery.ts";

export interface SmtpOptions {
  /** SMTP_URL */
  readonly url: string;
  /** MAIL_FROM */
  readonly from: string;
  /** Milliseconds until the server has the whole mail, connecting included. */
  readonly hand_over?: number;
}

interface SmtpError extends Error {
  readonly responseCode?: number;
  readonly code?: string;
  /** Of the socket, where the library put its own code over it. */
  readonly originalCode?: string;
}

/** As many as an outbox sends mails at once. */
const CONNECTIONS = 6;
/** A connection that lies idle for longer is closed; milliseconds. */
const IDLE = 30_000;
/**
 * Milliseconds for the answer to a whole mail. RFC 5321 §4.5.3.2.6 asks for 10 minutes, since whoever gives up sooner sends
 * it twice; a code lives for that long, and another attempt has to fit in.
 */
const REPLY = 180_000;

/** Mail over SMTP, with connections kept open. Resolves at the server's 250 (RFC 5321 §4.2.5). */
export async function openSmtp({ url, from, hand_over = 40_000 }: SmtpOptions): Promise<MailProvider> {
  const { createTransport } = await import("nodemailer");
  const transport = createTransport({
    url,
    ...encryptionFor(url),
    pool: true,
    maxConnections: CONNECTIONS,
    connectionTimeout: 10_000,
    greetingTimeout: 10_000,
    socketTimeout: REPLY,
    idleTimeout: IDLE,
    disableFileAccess: true,
    disableUrlAccess: true,
  } as never);
  transport.use("stream", (mail, done) => {
    const { handedOver } = mail.data as { handedOver?: () => void };
    mail.message.processFunc((stream) => (handedOver ? stream.once("end", handedOver) : stream));
    done();
  });
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
      const late = new AbortController();
      const timer = setTimeout(() => late.abort(), hand_over);
      signal.addEventListener("abort", () => late.abort());
      const handedOver = () => clearTimeout(timer);
      await transport
        .sendMail({ ...mail, handedOver, signal: late.signal } as typeof mail)
        .catch((error: SmtpError) => {
          throw reasonOf(late.signal.aborted ? Object.assign(error, { originalCode: "ETIMEDOUT" }) : error);
        })
        .finally(() => {
          clearTimeout(timer);
          places.giveBack();
        });
    },
    close: () => transport.close(),
  };
}

/**
 * Who expects TLS does not go on without it (RFC 3207 §6): where a password goes out, and not to this machine, STARTTLS
 * is asked for whether or not it is offered, since anybody on the way may take the offer away. `?requireTLS=false` in the
 * URL does without.
 */
export function encryptionFor(url: string): { readonly requireTLS?: true } {
  const { protocol, username, hostname, searchParams } = new URL(url);
  const safe = protocol !== "smtp:" || username === "" || isLoopbackUrl(`http://${hostname}`);
  return safe || searchParams.has("requireTLS") ? {} : { requireTLS: true };
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
  const answered =
    responseCode === undefined
      ? `the mail server does not answer (${faultCode(error)})`
      : `the mail server answered ${responseCode}`;
  const reason = code === "ETLS" ? "the mail server does not speak TLS (ETLS)" : answered;
  // 550 to 553: no such mailbox, or none that takes mail; another attempt meets the same answer (RFC 5321 §4.2.3).
  const permanent = code === "EENVELOPE" && responseCode !== undefined && responseCode >= 550 && responseCode <= 553;
  return permanent ? undeliverable(reason) : new Error(reason);
}

/** A real SMTP server that keeps what it received, and can be told to refuse, to stall, or to be away. */
import { type ParsedMail, simpleParser } from "mailparser";
import { SMTPServer } from "smtp-server";
import { freePort } from "../../scripts/postgres.mjs";

export interface Mailbox {
  readonly url: string;
  readonly port: number;
  readonly mails: readonly ParsedMail[];
  /** Runs before each 250; may reject, or take its time. */
  beforeAccept: ((mail: ParsedMail) => Promise<void>) | undefined;
  /** The reply code with which it refuses a recipient; undefined for whom it takes. */
  refuse: (address: string) => number | undefined;
  start(): Promise<void>;
  stop(): Promise<void>;
}

/** With `secure` it speaks TLS from the first byte, under a certificate that it signed itself. */
export async function openMailbox({ secure = false } = {}): Promise<Mailbox> {
  const port = await freePort();
  const mails: ParsedMail[] = [];
  let server: SMTPServer | undefined;
  const mailbox: Mailbox = {
    url: `${secure ? "smtps" : "smtp"}://127.0.0.1:${port}`,
    mails,
    port,
    beforeAccept: undefined,
    refuse: () => undefined,
    async start() {
      const started = new SMTPServer({
        secure,
        authOptional: true,
        disabledCommands: ["STARTTLS"],
        logger: false,
        closeTimeout: 50,
        onRcptTo({ address }, _session, done) {
          const responseCode = mailbox.refuse(address);
          done(responseCode === undefined ? null : Object.assign(new Error("not now"), { responseCode }));
        },
        onData(stream, _session, done) {
          simpleParser(stream)
            .then(async (mail) => {
              mails.push(mail);
              await mailbox.beforeAccept?.(mail);
              done();
            })
            .catch(done);
        },
      });
      started.on("error", () => {});
      await new Promise<void>((resolve) => started.listen(port, "127.0.0.1", resolve));
      server = started;
    },
    async stop() {
      await new Promise<void>((resolve) => (server ? server.close(() => resolve()) : resolve()));
      server = undefined;
    },
  };
  return mailbox;
}

export async function until<T>(
  what: string,
  look: () => T | undefined | Promise<T | undefined>,
  patience = 30_000,
): Promise<T> {
  const end = Date.now() + patience;
  for (;;) {
    const found = await look();
    if (found !== undefined && found !== false) return found;
    if (Date.now() > end) throw new Error(`waited in vain for ${what}`);
    await new Promise((resolve) => setTimeout(resolve, 25));
  }
}

/** Whom a mail is for. */
export function recipientOf({ to }: ParsedMail): string {
  return [to].flat()[0]?.value[0]?.address ?? "";
}

/** The code in a mail's plain text. */
export function codeIn(mail: ParsedMail): string {
  return /\n {4}(\S+)\n/.exec(mail.text ?? "")?.[1] ?? "";
}

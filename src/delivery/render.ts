import { escapeHtml } from "../http/escape-html.ts";
import { oneLine } from "../http/one-line.ts";
import { reveal, type Secret, secret } from "../secrets/secret.ts";
import type { Instant } from "../storage/storage.ts";
import type { CodeNotice, LoginChange, Mail, MessagePurpose, Sms } from "./delivery.ts";
import { templateOf } from "./templates/languages.ts";
import type { Template, Words } from "./templates/template.ts";

export interface Rendering {
  readonly id: string;
  readonly account_id: string;
  readonly to: string;
  readonly notice: CodeNotice;
  /** When it was enqueued. */
  readonly created_at: Instant;
  /** As a person reads and types it; null where the message holds none. */
  readonly code: Secret | null;
  /** Logs in on one click; only where the client has a page for it. */
  readonly link: Secret | null;
}

const minutesOf = (notice: CodeNotice) => Math.max(1, Math.floor(notice.lifetime / 60));

const isChange = ({ changed }: Template, purpose: MessagePurpose): purpose is LoginChange =>
  Object.hasOwn(changed.what, purpose);

/** A change is told in the transaction that makes it, so that is when the message was enqueued. */
function wordsOf(template: Template, { purpose, further = [] }: CodeNotice, created_at: Instant): Words {
  if (!isChange(template, purpose)) return template.purposes[purpose];
  const { subject, what, at, not_you } = template.changed;
  const when = at(created_at.slice(0, 10), `${created_at.slice(11, 16)} UTC`);
  const all = [purpose, ...further];
  return { subject, intro: (client) => [...all.map((one) => what[one](client)), when, not_you(client)].join(" ") };
}

/** The subject never holds the code: it shows on locked screens. */
export function renderMail({ id, to, notice, created_at, code, link }: Rendering): Mail {
  const template = templateOf(notice.locale);
  const client = oneLine(notice.client_name);
  const words = wordsOf(template, notice, created_at);
  const [subject, intro] = [words.subject(client), words.intro(client)];
  const texts = { code: code && reveal(code), link: link && reveal(link) };
  const body = { template, intro, ...texts, minutes: minutesOf(notice) };
  return {
    id,
    to,
    subject,
    text: secret(textOf(body)),
    html: secret(htmlOf(body, subject)),
    language: template.language,
  };
}

interface Body {
  readonly template: Template;
  readonly intro: string;
  readonly code: string | null;
  readonly link: string | null;
  readonly minutes: number;
}

function textOf({ template, intro, code, link, minutes }: Body): string {
  if (code === null) return `${intro}\n`;
  const parts = [
    intro,
    `    ${code}`,
    ...(link ? [`${template.link}: ${link}`] : []),
    template.lifetime(minutes),
    template.not_you,
  ];
  return `${parts.join("\n\n")}\n`;
}

function htmlOf({ template, intro, code, link, minutes }: Body, subject: string): string {
  const about = code === null ? "" : codeOf(template, code, link, minutes);
  return pageOf(template, subject, `<p style="margin:0 0 20px">${escapeHtml(intro)}</p>\n${about}`);
}

function codeOf(template: Template, code: string, link: string | null, minutes: number): string {
  const button = link
    ? `<p style="margin:0 0 24px"><a href="${escapeHtml(link)}" style="display:inline-block;padding:12px 20px;border-radius:8px;background:#1f3a5f;color:#ffffff;text-decoration:none;font-weight:600">${escapeHtml(template.link)}</a></p>`
    : "";
  return `<p class="code" style="margin:0 0 24px;padding:18px 12px;border-radius:10px;background:#ffffff;color:#101722;text-align:center;font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:30px;font-weight:700;letter-spacing:3px">${escapeHtml(code)}</p>
${button}<p style="margin:0 0 12px">${escapeHtml(template.lifetime(minutes))}</p>
<p class="quiet" style="margin:0;color:#55606e;font-size:15px">${escapeHtml(template.not_you)}</p>
`;
}

function pageOf(template: Template, subject: string, content: string): string {
  return `<!doctype html>
<html lang="${template.language}">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="color-scheme" content="light dark">
<title>${escapeHtml(subject)}</title>
<style>
:root { color-scheme: light dark; }
@media (prefers-color-scheme: dark) { .page { background: #14181f !important; color: #e8ecf1 !important; } .code { background: #232a35 !important; color: #ffffff !important; } .quiet { color: #a9b4c2 !important; } }
</style>
</head>
<body class="page" style="margin:0;background:#f4f6f8;color:#1a2330;font-family:system-ui,-apple-system,'Segoe UI',Roboto,Helvetica,Arial,sans-serif;font-size:17px;line-height:1.5;overflow-wrap:anywhere;word-break:break-word">
<div role="article" style="max-width:32rem;margin:0 auto;padding:32px 20px">
${content}</div>
</body>
</html>
`;
}

/** Ends in the origin-bound line where the host is known that the code is entered on. */
export function renderSms({ id, account_id, to, notice, created_at, code }: Rendering): Sms {
  const template = templateOf(notice.locale);
  const client = oneLine(notice.client_name);
  const words = wordsOf(template, notice, created_at);
  if (code === null || !words.sms) return { id, account_id, to, text: secret(words.intro(client)) };
  const text = `${words.sms(client, reveal(code))} ${template.sms_lifetime(minutesOf(notice))}`;
  const bound = notice.host ? `\n\n@${notice.host} #${reveal(code)}` : "";
  return { id, account_id, to, text: secret(`${text}${bound}`) };
}

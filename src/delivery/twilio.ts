import type { Egress } from "../egress/egress.ts";
import { undeliverable } from "../outbox/outbox.ts";
import { reveal } from "../secrets/secret.ts";
import { askProvider } from "./ask-provider.ts";
import type { SmsProvider } from "./delivery.ts";

/** Codes of a number that cannot be reached at all; trying again meets the same answer. */
const UNREACHABLE = new Set([21211, 21214, 21217, 21408, 21610, 21612, 21614]);

/** Twilio's Messages resource, or anything of that shape at `base`. */
export function openTwilio(egress: Egress, sms_url: URL, timeout: number): SmsProvider {
  const sid = decodeURIComponent(sms_url.username);
  const from = decodeURIComponent(sms_url.hostname);
  const base = sms_url.searchParams.get("base") ?? "https://api.twilio.com";
  const authorization = `Basic ${Buffer.from(`${sid}:${decodeURIComponent(sms_url.password)}`).toString("base64")}`;
  const url = `${base.replace(/\/$/, "")}/2010-04-01/Accounts/${encodeURIComponent(sid)}/Messages.json`;
  return {
    async send({ to, text }, signal) {
      const body = new URLSearchParams({ To: to, From: from, Body: reveal(text) }).toString();
      const headers = {
        authorization,
        "content-type": "application/x-www-form-urlencoded",
        accept: "application/json",
      };
      const { status, body: answer } = await askProvider(egress, { url, headers, body, signal, timeout });
      if (status >= 200 && status < 300) return;
      const code = codeOf(answer);
      const reason = `the SMS provider answered ${status}${code === undefined ? "" : ` (${code})`}`;
      throw status === 400 && code !== undefined && UNREACHABLE.has(code) ? undeliverable(reason) : new Error(reason);
    },
  };
}

function codeOf(answer: string): number | undefined {
  try {
    const { code } = JSON.parse(answer) as { code?: unknown };
    return typeof code === "number" ? code : undefined;
  } catch {
    return undefined;
  }
}

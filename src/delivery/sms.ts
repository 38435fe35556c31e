import { isLoopbackUrl } from "../config.ts";
import type { Egress } from "../egress/egress.ts";
import { PROVIDER_TIMEOUT } from "./ask-provider.ts";
import type { SmsProvider } from "./delivery.ts";
import { openSmsWebhook } from "./sms-webhook.ts";
import { openTwilio } from "./twilio.ts";

/**
 * The provider that SMS_URL names: `twilio://sid:token@from?base=https://…`, or `https://…` for a signed webhook.
 * It answers within `timeout` milliseconds.
 */
export function openSms(egress: Egress, sms_url: string, timeout = PROVIDER_TIMEOUT): SmsProvider {
  const url = new URL(sms_url);
  return url.protocol === "twilio:" ? openTwilio(egress, url, timeout) : openSmsWebhook(egress, url, timeout);
}

/** What is wrong with SMS_URL, or undefined. Never repeats the value: it holds a secret. */
export function smsUrlFault(sms_url: string): string | undefined {
  if (!URL.canParse(sms_url)) return "is no URL; use twilio://sid:token@from, or https://… for a signed webhook";
  const { protocol, username, password, hostname, searchParams } = new URL(sms_url);
  if (![username, password, hostname].every(isDecodable))
    return "has a % that begins no percent-encoding: write it as %25";
  if (protocol === "twilio:") {
    const base = searchParams.get("base");
    if (base !== null && !isAddress(base))
      return "has a base that is no https address: twilio://sid:token@from?base=https://…";
    return username && password && hostname ? undefined : "must be twilio://sid:token@from with the sender as its host";
  }
  if (!isAddress(sms_url)) return "must begin with twilio:// or https://";
  return password || searchParams.get("secret") ? undefined : "needs a secret to sign with: https://:secret@host/path";
}

/** Without TLS nothing is asked beyond this machine. */
function isAddress(url: string): boolean {
  if (!URL.canParse(url)) return false;
  const { protocol } = new URL(url);
  return protocol === "https:" || (protocol === "http:" && isLoopbackUrl(url));
}

function isDecodable(text: string): boolean {
  try {
    return decodeURIComponent(text) !== undefined;
  } catch {
    return false;
  }
}

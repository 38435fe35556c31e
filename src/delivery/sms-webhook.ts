import { createHmac } from "node:crypto";
import type { Egress } from "../egress/egress.ts";
import { reveal } from "../secrets/secret.ts";
import { askProvider } from "./ask-provider.ts";
import type { SmsProvider } from "./delivery.ts";

/**
 * POSTs `{ id, account_id, to, text }` to the operator's own address. `Latchkey-Signature: t=<seconds>,v1=<hex>` is
 * HMAC-SHA-256 of `t.body` under the secret of SMS_URL; `Idempotency-Key` is the same at every attempt. Any 2xx is a yes.
 */
export function openSmsWebhook(egress: Egress, sms_url: URL, timeout: number): SmsProvider {
  const secret = decodeURIComponent(sms_url.password) || (sms_url.searchParams.get("secret") ?? "");
  const url = new URL(sms_url);
  url.username = "";
  url.password = "";
  url.searchParams.delete("secret");
  return {
    async send({ id, account_id, to, text }, signal) {
      const body = JSON.stringify({ id, account_id, to, text: reveal(text) });
      const t = Math.floor(Date.now() / 1000);
      const v1 = createHmac("sha256", secret).update(`${t}.${body}`).digest("hex");
      const headers = {
        "content-type": "application/json",
        "idempotency-key": id,
        "latchkey-signature": `t=${t},v1=${v1}`,
        "user-agent": "Latchkey",
      };
      const { status } = await askProvider(egress, { url: url.href, headers, body, signal, timeout });
      if (status < 200 || status >= 300) throw new Error(`the SMS webhook answered ${status}`);
    },
  };
}

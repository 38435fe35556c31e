import { hostFault } from "./config/listen.ts";
import { parseRange } from "./config/ranges.ts";
import type { Config, Environment } from "./config.ts";
import { smsUrlFault } from "./delivery/sms.ts";
import { reveal } from "./secrets/secret.ts";

/**
 * For `readConfig`, which waits for nothing: HOST is looked up before.
 *
 * @returns what tells the faults of settings that only their rooms can read.
 */
export async function settingsCheck({ HOST }: Environment): Promise<(config: Config) => readonly string[]> {
  const host = await hostFault(HOST?.trim() ?? "");
  return (config) => [...(host ? [host] : []), ...checkSettings(config)];
}

function checkSettings(config: Config): readonly string[] {
  const faults: string[] = [];
  for (const [name, entries] of [
    ["TRUSTED_PROXIES", config.trusted_proxies],
    ["EGRESS_ALLOW", config.egress_allow],
  ] as const) {
    for (const entry of entries) {
      try {
        parseRange(entry);
      } catch {
        faults.push(`${name} has the entry ${entry}, which is no address or CIDR, for example 10.0.0.0/8.`);
      }
    }
  }
  const sms = config.sms_url === null ? undefined : smsUrlFault(reveal(config.sms_url));
  if (sms) faults.push(`SMS_URL ${sms}.`);
  return faults;
}

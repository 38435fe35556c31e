import { type Fault, refuse } from "../../errors.ts";
import type { Directory } from "../directory.ts";
import type { Client } from "./client.ts";

/**
 * As browsers write it in the header Origin (RFC 6454 §6.2): nothing after host and port, and no port that the scheme
 * has anyway.
 */
function isOrigin(text: string): boolean {
  if (!/^[a-z][a-z0-9+.-]*:\/\/[^/?#@\s]+$/.test(text) || !URL.canParse(text)) return false;
  const { origin } = new URL(text);
  return origin === text || origin === "null";
}

export function originFaults(origins: readonly string[]): Fault[] {
  return origins.flatMap((text, index) =>
    isOrigin(text)
      ? []
      : [
          {
            path: `allowed_origins.${index}`,
            code: "origin",
            message: "must be an origin, such as https://shop.example",
          },
        ],
  );
}

/**
 * A call that a page made is one of a page that the client lists; ours may call for every client. What is no browser
 * names no origin.
 *
 * @throws 403 unauthorized_client.
 */
export function checkOrigin({ public_url }: Directory, { settings }: Client, origin: string | undefined): void {
  const { allowed_origins } = settings;
  if (origin === undefined || allowed_origins.length === 0 || allowed_origins.includes(origin)) return;
  if (origin === new URL(public_url).origin) return;
  throw refuse("unauthorized_client", { message: "The client's allowed_origins do not list the origin of this call." });
}

/** Where the server and its figures listen, and why they cannot. */
import { lookup } from "node:dns/promises";
import { isIP } from "node:net";

/** The one address of HOST; of `localhost` that which everybody finds it by, where it has that. */
export async function addressOf(host: string): Promise<string> {
  if (isIP(host) !== 0) return host;
  const found = host === "localhost" ? await lookup(host, { family: 4 }).catch(() => undefined) : undefined;
  return (found ?? (await lookup(host))).address;
}

const ALL = "0.0.0.0 for all of IPv4, :: for all";

/** Of a name that nobody knows. A name server that is away is no fault of the setting. */
export async function hostFault(host: string): Promise<string | undefined> {
  const unknown = host !== "" && (await addressOf(host).catch(({ code }) => code)) === "ENOTFOUND";
  if (!unknown) return undefined;
  return `HOST ${host} cannot be looked up. Set an address of this machine, or ${ALL}.`;
}

/** Why nothing can listen where these settings say, and what to do. */
export function listenFault(name: "PORT" | "METRICS_PORT", host: string, port: number, error: Error): Error {
  const { code = "" } = error as NodeJS.ErrnoException;
  const said: Readonly<Record<string, string>> = {
    EADDRINUSE: `${name} ${port} is in use by another process. Stop that one, or set another ${name}.`,
    EACCES: `${name} ${port} is not open to this user. Set one above 1023.`,
    EADDRNOTAVAIL: `HOST ${host} is no address of this machine. Set one that is, or ${ALL}.`,
  };
  return new Error(said[code] ?? `${name} ${port} of HOST ${host} cannot be listened on: ${error.message}.`);
}

import type { Directory } from "../directory.ts";
import { withoutNulls } from "../entity.ts";
import type { Client } from "./client.ts";
import { listSecrets } from "./secret.ts";

/** A client of a list, on the wire. */
export function listedClient({ settings, set_by_account, account_id: _, untried_since: __, ...client }: Client) {
  return {
    ...withoutNulls(client),
    ...settings,
    ...(client.origin === "account" ? {} : { set_by_account: [...set_by_account] }),
  };
}

/** … and one alone: of its secrets it says when they were made and used, and when they end. */
export async function clientView(directory: Directory, client: Client) {
  return { ...listedClient(client), secrets: (await listSecrets(directory, client)).map(withoutNulls) };
}

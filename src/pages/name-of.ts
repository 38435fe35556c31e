import type { Client } from "../directory/clients/client.ts";
import { oneLine } from "../http/one-line.ts";

/** What a client is called on a page; one may have chosen a name that has nothing to show. */
export const nameOf = ({ name, client_id }: Pick<Client, "name" | "client_id">): string =>
  oneLine(name ?? "") || client_id;

import type { Client } from "../../directory/clients/client.ts";
import { sectorOf } from "../../directory/clients/sector.ts";
import type { ClientSettings } from "../../directory/clients/settings.ts";
import { type Documents, fetchList } from "../../egress/documents.ts";
import { refuse } from "../../errors.ts";
import { inRegistrationTerms } from "./registration-terms.ts";

/**
 * A client that comes into a sector, of another or of none, would learn by which `sub` others there know the people whom
 * it knows already (OpenID Connect Core §8.1): only the account moves it.
 *
 * @throws 400 invalid_client_metadata.
 */
export function checkSameSector(client: Client, change: Partial<ClientSettings>): void {
  const sector = sectorOf({ ...client, settings: { ...client.settings, ...change } });
  if (sector === undefined || sector === sectorOf(client)) return;
  throw refuse("invalid_client_metadata", { message: "A client stays in the sector that it was registered in." });
}

/** Every callback, and there is one, is named by the sector's own document (OpenID Connect Registration §5). */
export async function checkSector(documents: Documents, settings: Partial<ClientSettings>): Promise<void> {
  const { sector_identifier_uri, callbacks = [] } = settings;
  if (!sector_identifier_uri) return;
  const listed = await inRegistrationTerms(() => fetchList(documents, sector_identifier_uri));
  if (callbacks.length === 0 || !callbacks.every((callback) => listed.includes(callback))) {
    throw refuse("invalid_client_metadata", { message: "sector_identifier_uri does not name every redirect URI." });
  }
}

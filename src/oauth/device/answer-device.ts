import { instant } from "../../storage/storage.ts";
import type { AuthorizationCode } from "../authorization-code.ts";
import type { Oauth } from "../oauth.ts";
import { updateAnswered } from "./store.ts";

/** Somebody allowed a device: its next poll redeems this. @returns false when it waits no more. */
export function approveDevice(
  { directory }: Oauth,
  account_id: string,
  id: string,
  earned: AuthorizationCode,
): Promise<boolean> {
  return answer(directory, account_id, id, { state: "approved", answer: JSON.stringify(earned) });
}

export function denyDevice({ directory }: Oauth, account_id: string, id: string): Promise<boolean> {
  return answer(directory, account_id, id, { state: "denied", answer: null });
}

function answer(
  { storage }: Oauth["directory"],
  account_id: string,
  id: string,
  given: Parameters<typeof updateAnswered>[2],
): Promise<boolean> {
  return storage.write((tx) => updateAnswered(tx.db, { account_id, id }, given, instant(storage.now())));
}

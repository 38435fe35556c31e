import { instant, type Storage } from "../../storage/storage.ts";
import { REMEMBERED } from "./redeem.ts";
import { deleteExpired } from "./store.ts";

/** For the janitor: codes are remembered for a day after they expired, sessions are not. */
export const codeSweep = {
  name: "verification codes",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, "verification_codes", instant(storage.now() - REMEMBERED), batch)),
};

export const sessionSweep = {
  name: "login sessions",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, "login_sessions", instant(storage.now()), batch)),
};

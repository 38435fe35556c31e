import { deleteExpired } from "../../storage/delete-expired.ts";
import { instant, type Storage } from "../../storage/storage.ts";
import { REMEMBERED } from "./redeem.ts";

/** For the janitor: codes are remembered for a day after they expired, sessions are not. */
export const codeSweep = {
  name: "verification codes",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) =>
      deleteExpired(tx.db, { table: "verification_codes", key: "id" }, instant(storage.now() - REMEMBERED), batch),
    ),
};

export const sessionSweep = {
  name: "login sessions",
  sweep: (storage: Storage, batch: number) =>
    storage.write((tx) => deleteExpired(tx.db, { table: "login_sessions", key: "id" }, instant(storage.now()), batch)),
};

import { expect, it } from "vitest";
import { openTestStorage } from "../../../test/support/engines.ts";
import { secret } from "../../secrets/secret.ts";
import { slowHash } from "../../secrets/slow-hash.ts";
import { checkPassword } from "./password.ts";

it("of nobody is compared again once there is room, when there was none for the first login of a process", async () => {
  const { storage, close } = await openTestStorage("sqlite");
  const hashes = Array.from({ length: 250 }, () =>
    slowHash("T11200001", secret("somebody else's")).catch(() => undefined),
  );
  const check = () => checkPassword(storage, "T11200001", "x:nobody", ["password"], secret("anything at all"));
  await expect(check()).rejects.toThrow("temporarily unavailable");
  await Promise.all(hashes);
  expect(await check()).toBeUndefined();
  await close();
});

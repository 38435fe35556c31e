import { readFileSync } from "node:fs";
import { expect, it } from "vitest";
import { secret } from "./secret.ts";
import { slowHash, slowVerify } from "./slow-hash.ts";

/** The process that hashes for this one. */
function hasher(): number {
  const [pid] = readFileSync(`/proc/self/task/${process.pid}/children`, "utf8").split(" ").map(Number);
  if (!pid) throw new Error("nobody hashes");
  return pid;
}

it.runIf(process.platform === "linux")("tells whoever waited for a process that ended to come back", async () => {
  await slowHash("T11200001", secret("a long password"));
  const pid = hasher();
  process.kill(pid, "SIGSTOP");
  const lost = slowHash("T11200001", secret("another password"));
  process.kill(pid, "SIGKILL");
  await expect(lost).rejects.toMatchObject({ code: "temporarily_unavailable", options: { retry_after: 1 } });
  expect(await slowHash("T11200001", secret("another password"))).toContain("argon2id");
});

it.runIf(process.platform === "linux")(
  "keeps nobody waiting for a process that stands still, and goes on when it does",
  { timeout: 60_000 },
  async () => {
    const hash = await slowHash("T11200001", secret("a long password"));
    process.kill(hasher(), "SIGSTOP");
    const refused = Array.from({ length: 6 }, () => slowHash("T11200001", secret("another password")));
    for (const one of await Promise.allSettled(refused))
      expect(one).toMatchObject({ status: "rejected", reason: { code: "temporarily_unavailable" } });
    process.kill(hasher(), "SIGCONT");
    expect(await slowVerify("T11200001", hash, secret("a long password"))).toBe(true);
    expect(await slowVerify("T11200001", hash, secret("a long passwort"))).toBe(false);
  },
);

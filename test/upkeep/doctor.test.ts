/** What `latchkey doctor` says of settings that are read right and do not work. */
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { cli } from "../support/process.ts";
import { openMailbox } from "../support/smtp.ts";

const NOWHERE = "postgres://127.0.0.1:1/latchkey";

async function findingOn(check: string, env: Record<string, string>) {
  const { stdout, stderr } = await cli({ DATABASE_URL: NOWHERE, MASTER_KEY: KEY, ...env }, "doctor", "--json");
  expect(stderr).toBe("");
  const { findings } = JSON.parse(stdout) as { findings: { check: string; state: string; message: string }[] };
  return findings.find((finding) => finding.check === check);
}

const KEY = Buffer.alloc(32, 7).toString("base64");
const mailAt = (url: string) => findingOn("mail", { SMTP_URL: url, MAIL_FROM: "login@example.com" });

describe("doctor", () => {
  it("names a mail server's certificate, not user and password, where that is what is wrong", async () => {
    const mailbox = await openMailbox({ secure: true });
    await mailbox.start();
    expect(await mailAt(mailbox.url)).toEqual({
      check: "mail",
      state: "failed",
      message: expect.stringMatching(
        /^the server of SMTP_URL .*\(\w*(CERT|UNABLE_TO)\w*\)\. Its certificate is not valid/,
      ),
    });
    await mailbox.stop();
  });

  it("says that nothing answers where nobody listens, or no such host is", async () => {
    const nobody = "nothing answers at the host and port of SMTP_URL";
    expect((await mailAt(`smtp://127.0.0.1:${await freePort()}`))?.message).toContain(`${nobody} (ECONNREFUSED)`);
    expect((await mailAt("smtp://mail.invalid"))?.message).toMatch(`${nobody} (`);
  });

  it("warns of a master key beside the database, however it is named", async () => {
    const folder = mkdtempSync(join(tmpdir(), "latchkey-doctor-"));
    writeFileSync(join(folder, "own.key"), `${KEY}\n`);
    symlinkSync(folder, `${folder}-link`);
    const warning = { check: "master key", state: "warning", message: expect.stringContaining("beside the database") };
    for (const MASTER_KEY_FILE of [join(folder, "own.key"), join(`${folder}-link`, "own.key")])
      expect(
        await findingOn("master key", { DATABASE_URL: `sqlite:${folder}/a.db`, MASTER_KEY: "", MASTER_KEY_FILE }),
      ).toEqual(warning);
    const elsewhere = { DATABASE_URL: `sqlite:${folder}/data/a.db`, MASTER_KEY: "" };
    const finding = await findingOn("master key", { ...elsewhere, MASTER_KEY_FILE: join(folder, "own.key") });
    expect(finding?.state).toBe("ok");
    rmSync(`${folder}-link`);
    rmSync(folder, { recursive: true });
  });

  it("warns of several workers whose figures nobody adds up", async () => {
    expect(await findingOn("metrics", { WORKERS: "2" })).toEqual({
      check: "metrics",
      state: "warning",
      message: expect.stringContaining("Set METRICS_PORT"),
    });
    expect((await findingOn("metrics", { WORKERS: "2", METRICS_PORT: "9464" }))?.state).toBe("ok");
    expect((await findingOn("metrics", {}))?.state).toBe("ok");
  });
});

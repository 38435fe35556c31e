/** Real Chromium, where it is installed. */
import { existsSync } from "node:fs";
import { type Browser, chromium } from "playwright-core";

export const executablePath = [
  process.env.CHROMIUM,
  "/usr/bin/chromium",
  "/usr/bin/chromium-browser",
  "/usr/bin/google-chrome",
].find((path) => path !== undefined && existsSync(path));

if (!executablePath)
  console.warn(
    "No Chromium here (apt-get install chromium, or set CHROMIUM): tests of pages in a browser are skipped.",
  );

export function openChromium(...more: readonly string[]): Promise<Browser> {
  const quiet = ["quic", "background-networking", "component-update", "sync"].map((what) => `--disable-${what}`);
  const args = ["--no-sandbox", "--disable-gpu", "--no-first-run", ...quiet, ...more];
  return chromium.launch({ args, ...(executablePath ? { executablePath } : {}) });
}

import { rmSync } from "node:fs";
import { dirname, join, relative, resolve } from "node:path";
import { isSqlite, sqlitePath } from "../../config.ts";
import type { Directory } from "../directory.ts";
import { demoLogin, prepareDemo } from "./demo.ts";
import { walkthrough } from "./walkthrough.ts";

export interface DemoOffer {
  /** Prints the walk-through, and where its data lies. */
  print(): void;
  /** Takes the file away again, so that the next start makes the offer. */
  withdraw(): void;
}

/** The demo is whole before the server listens: who waits for its first answer finds it. */
export async function offerDemo(directory: Directory, database_url: string): Promise<DemoOffer | undefined> {
  const folder = isSqlite(database_url) ? dirname(sqlitePath(database_url)) : resolve("data");
  const file = join(folder, "demo.json");
  if (!(await prepareDemo(directory, file))) return undefined;
  const shown = relative(process.cwd(), file);
  const steps = walkthrough(shown.startsWith("..") ? file : `./${shown}`);
  const where = `A demo account is ready; its client and secret are in ${shown}.

Its login pages: ${demoLogin(directory)}

Paste this into another terminal:`;
  return {
    print: () => void process.stdout.write(`\n${where}\n\n${steps}\n`),
    withdraw: () => rmSync(file),
  };
}

/**
 * Builds what changed, since servers and SQLite's writer thread run what is built; starts one PostgreSQL for the whole
 * run and migrates a template database that each test file clones.
 */
import { execFileSync } from "node:child_process";
import { fileURLToPath } from "node:url";
import pg from "pg";
import type { TestProject } from "vitest/node";
import { startPostgres } from "../../scripts/postgres.mjs";
import { migrate } from "../../src/storage/migrate.ts";

declare module "vitest" {
  export interface ProvidedContext {
    postgres_url: string;
    postgres_template: string;
  }
}

export default async function setup(project: TestProject): Promise<() => Promise<void>> {
  execFileSync(process.execPath, [fileURLToPath(new URL("../../scripts/ready.mjs", import.meta.url))], {
    stdio: "inherit",
  });
  return providePostgres(project);
}

/** Tests kill processes, never the machine: whatever was handed to the system comes to its disk. */
const IN_NO_HURRY = ["fsync=off", "full_page_writes=off"];

export async function providePostgres(project: TestProject): Promise<() => Promise<void>> {
  const server = await startPostgres(IN_NO_HURRY);
  const template = `latchkey_template_${process.pid}`;
  await admin(server.url, `create database ${template}`);
  await migrate(server.url.replace(/\/[^/]*$/, `/${template}`));
  project.provide("postgres_url", server.url);
  project.provide("postgres_template", template);
  return async () => {
    await admin(server.url, `drop database if exists ${template} with (force)`).catch(() => {});
    await server.stop();
  };
}

/** What transactions of that database are from now on, where they do not say so themselves. */
export async function isolate(url: string, level: string): Promise<void> {
  await admin(url, `alter database ${new URL(url).pathname.slice(1)} set default_transaction_isolation = '${level}'`);
}

export async function admin(url: string, sql: string): Promise<void> {
  const client = new pg.Client({ connectionString: url });
  await client.connect();
  try {
    await client.query(sql);
  } finally {
    await client.end();
  }
}

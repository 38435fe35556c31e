/**
 * The floor of the store: the very statement that redeems a code, with the very values a request gives it, and no
 * server around it. On PostgreSQL `pgbench` runs it over two connections, in batches as the server's; on SQLite it runs
 * in a loop in one process, each batch committed and flushed.
 */
import { execFile, execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { promisify } from "node:util";
import { sql } from "kysely";
import { redeemCode } from "../dist/authentication/verification/redeem.js";
import { sqlitePath } from "../dist/config.js";
import { lookUpAccount } from "../dist/directory/accounts/find-account.js";
import { secret } from "../dist/secrets/secret.js";
import { openSqliteFile } from "../dist/storage/sqlite/connection.js";
import { AUDIENCE } from "./prepare.mjs";

/** Half of 32 connections: two batches are in flight. */
const BATCH = 16;
const run = promisify(execFile);

/** @returns per_second, or undefined where pgbench is absent. */
export async function measureStatement(server, codes) {
  const calls = await callsFor(server, codes);
  return server.engine === "sqlite" ? loopOnSqlite(server, calls) : loopOnPostgres(server, calls);
}

/** What redeeming each code would ask the storage to do, asked of nobody. */
async function callsFor({ core: { directory, storage }, tenant }, codes) {
  const account = await lookUpAccount(directory, tenant.account_id);
  const { client, grant_id } = tenant;
  const calls = [];
  const recording = { ...storage, hot: (statement, input) => new Promise(() => calls.push({ statement, input })) };
  const authentication = { directory: { ...directory, storage: recording }, nudge() {} };
  const facts = { ip: "127.0.0.1", request_id: "01a20acc-7f03-7ebe-a90b-d762a13e660a" };
  for (const code of codes) {
    const asked = { account, client, grant_id, audience: AUDIENCE, verification_code: secret(code), actor: client.id };
    // It never comes back: nobody carries it out.
    void redeemCode(authentication, { ...asked, facts, now: storage.now() });
  }
  while (calls.length < codes.length) await new Promise((resolve) => setImmediate(resolve));
  return calls;
}

function loopOnSqlite({ config }, calls) {
  const file = openSqliteFile(sqlitePath(config.database_url));
  file.exec("pragma busy_timeout = 10000; pragma synchronous = full; pragma cache_size = -16000");
  const started = performance.now();
  for (let from = 0; from < calls.length; from += BATCH) {
    file.exec("begin immediate");
    for (const { statement, input } of calls.slice(from, from + BATCH)) {
      if (!statement.sqlite(file, input).won) throw new Error("the bare statement redeemed nothing");
    }
    file.exec("commit");
  }
  const seconds = (performance.now() - started) / 1000;
  file.close();
  return { per_second: calls.length / seconds };
}

/** Its values lie in a table, one row a batch; the statement reads them there instead of from its parameters. */
async function loopOnPostgres({ config: { database_url }, core: { storage }, tenant }, calls) {
  if (!hasPgbench()) return undefined;
  const { postgres } = calls[0].statement;
  const batches = Math.floor(calls.length / BATCH);
  const types = [...postgres.text.matchAll(/\$(\d+)::(\w+)\[\]/g)].map(([, number, type]) => [Number(number), type]);
  const names = [...new Map(types)].sort(([a], [b]) => a - b);
  const columns = names.map(([number, type]) => `p${number} ${type}[]`).join(", ");
  await sql.raw(`drop table if exists bench_batches`).execute(storage.read);
  await sql.raw(`create table bench_batches (batch bigint primary key, ${columns})`).execute(storage.read);
  for (let batch = 0; batch < batches; batch++) {
    const inputs = calls.slice(batch * BATCH, (batch + 1) * BATCH).map(({ input }) => input);
    const values = postgres.parameters(inputs);
    await sql`insert into bench_batches values (${batch}, ${sql.join(names.map(([number]) => values[number - 1]))})`.execute(
      storage.read,
    );
  }
  await sql`analyze bench_batches`.execute(storage.read);
  const text = postgres.text.replaceAll(/\$(\d+)::\w+\[\]/g, "(select p$1 from bench_batches where batch = :batch)");
  const tps = await pgbench(database_url, text.replaceAll(/--.*$/gm, ""), Math.floor(batches / 2));
  const { rows } = await sql`select count(*) as left from verification_codes where spent_at is null
    and account_id = ${tenant.account_id} and typed_digest in (select unnest(p${sql.raw(String(names.at(-1)[0]))}) from bench_batches)`.execute(
    storage.read,
  );
  if (Number(rows[0].left) > BATCH * 2) throw new Error(`the bare statement left ${rows[0].left} codes`);
  return { per_second: tps * BATCH };
}

async function pgbench(database_url, text, transactions) {
  const folder = mkdtempSync(join(tmpdir(), "latchkey-pgbench-"));
  try {
    const script = join(folder, "redeem.sql");
    writeFileSync(script, `\\set turn :turn + 1\n\\set batch :turn * 2 + :client_id\n${text};\n`);
    const options = ["-n", "-M", "prepared", "-c", "2", "-j", "1", "-t", String(transactions), "-D", "turn=-1"];
    const env = { ...process.env, PGOPTIONS: "-c jit=off -c enable_seqscan=off" };
    const { stdout } = await run("pgbench", [...options, "-f", script, database_url], { env });
    return Number(/tps = ([\d.]+)/.exec(stdout)[1]);
  } finally {
    rmSync(folder, { recursive: true, force: true });
  }
}

function hasPgbench() {
  try {
    execFileSync("pgbench", ["--version"], { stdio: "ignore" });
    return true;
  } catch {
    return false;
  }
}

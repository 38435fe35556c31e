/**
 * better-auth with its e-mail code plugin, on the same kind of database. A login is: the code is compared, a session
 * row is written, a signed cookie answers. It signs no token, keeps no audit trail, and counts guesses a code, not a
 * person; its own rate limit is switched off here. Codes are kept as it comes: plain.
 *
 * DATABASE_URL, PEOPLE: how many people to make. Prints its port; `GET /code?n=…` starts that many logins and answers with
 * [address, code] of each. One person and one code are made by better-auth itself, the others are copies of their rows.
 */
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { emailOTP } from "better-auth/plugins";
import { Kysely, PostgresDialect, SqliteDialect, sql } from "kysely";
import Database from "libsql";
import pg from "pg";

const url = process.env.DATABASE_URL;
const postgres = url.startsWith("postgres");
const sent = new Map();
const pool = postgres ? new pg.Pool({ connectionString: url, max: 16 }) : undefined;
const dialect = postgres ? new PostgresDialect({ pool }) : sqlite(url);
const db = new Kysely({ dialect });
const options = {
  baseURL: "http://localhost:1",
  secret: "a secret of this measurement alone, and of no other",
  database: postgres ? pool : { dialect, type: "sqlite" },
  rateLimit: { enabled: false },
  advanced: { disableCSRFCheck: true, disableOriginCheck: true },
  telemetry: { enabled: false },
  logger: { disabled: true },
  plugins: [emailOTP({ sendVerificationOTP: async ({ email, otp }) => void sent.set(email, otp) })],
};

function sqlite(path) {
  const database = new Database(path.replace(/^sqlite:/, ""));
  database.exec("pragma journal_mode = wal");
  database.exec("pragma synchronous = full");
  return new SqliteDialect({ database });
}

const auth = betterAuth(options);
await (await getMigrations(options)).runMigrations();
const { internalAdapter } = await auth.$context;
const people = Number(process.env.PEOPLE);
const addressOf = (n) => `person-${n}@example.com`;
await internalAdapter.createUser({ email: addressOf(0), name: "Person", emailVerified: true });
await copyRow("user", "email", people, (n) => addressOf(n));

/** So many copies of the one row of a table, each with another id and another value in this column. */
async function copyRow(table, column, count, valueAt) {
  const row = await db.selectFrom(table).selectAll().executeTakeFirstOrThrow();
  const copies = Array.from({ length: count - 1 }, (_, n) => ({
    ...row,
    id: `${row.id}-${n + 1}`,
    [column]: valueAt(n + 1),
  }));
  for (let from = 0; from < copies.length; from += 100)
    await db
      .insertInto(table)
      .values(copies.slice(from, from + 100))
      .execute();
}

async function beginLogins(count) {
  await db.deleteFrom("verification").execute();
  sent.clear();
  await auth.api.sendVerificationOTP({ body: { email: addressOf(0), type: "sign-in" } });
  await copyRow("verification", "identifier", count, (n) => `sign-in-otp-${addressOf(n)}`);
  if (postgres) await sql`analyze`.execute(db);
  return Array.from({ length: count }, (_, n) => [addressOf(n), sent.get(addressOf(0))]);
}

const handle = toNodeHandler(auth);
const server = createServer(async (request, response) => {
  if (!request.url.startsWith("/code?")) return handle(request, response);
  const count = Number(new URL(request.url, "http://localhost").searchParams.get("n"));
  response.end(JSON.stringify(await beginLogins(count)));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.on("SIGTERM", () => process.exit(0));

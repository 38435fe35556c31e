/**
 * better-auth with its e-mail code plugin, on the same kind of database. A login is: the code is compared, a session row is written, a
 * signed cookie answers. It signs no token, keeps no audit trail, and counts guesses a code, not a person; its own rate limit is
 * switched off here. Codes are kept as it comes: plain.
 *
 * DATABASE_URL, PEOPLE: how many people to make. Prints its port; `GET /code?n=…` starts that many logins and answers with
 * [address, code] of each.
 */
import { createServer } from "node:http";
import { betterAuth } from "better-auth";
import { getMigrations } from "better-auth/db/migration";
import { toNodeHandler } from "better-auth/node";
import { emailOTP } from "better-auth/plugins";
import { SqliteDialect } from "kysely";
import Database from "libsql";
import pg from "pg";

const url = process.env.DATABASE_URL;
const sent = new Map();
const options = {
  baseURL: "http://localhost:1",
  secret: "a secret of this measurement alone, and of no other",
  database: url.startsWith("postgres") ? new pg.Pool({ connectionString: url, max: 16 }) : sqlite(url),
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
  return { dialect: new SqliteDialect({ database }), type: "sqlite" };
}

const auth = betterAuth(options);
await (await getMigrations(options)).runMigrations();
const { internalAdapter } = await auth.$context;
const people = Number(process.env.PEOPLE);
for (let n = 0; n < people; n++)
  await internalAdapter.createUser({ email: `person-${n}@example.com`, name: "Person", emailVerified: true });

const handle = toNodeHandler(auth);
const server = createServer(async (request, response) => {
  if (!request.url.startsWith("/code?")) return handle(request, response);
  const count = Number(new URL(request.url, "http://localhost").searchParams.get("n"));
  sent.clear();
  for (let n = 0; n < count; n++)
    await auth.api.sendVerificationOTP({ body: { email: `person-${n}@example.com`, type: "sign-in" } });
  response.end(JSON.stringify([...sent]));
});
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.on("SIGTERM", () => process.exit(0));

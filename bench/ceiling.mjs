/**
 * What no store can beat: the same HTTP server and the same signature, and nothing else. No bearer, no limits, no log, no
 * audit, no code. Prints its port on standard output.
 */
import fastify from "fastify";
import { makeKey, openKey } from "../dist/tokens/keys/key.js";
import { signJws } from "../dist/tokens/jws.js";
import { masterKeys } from "../dist/secrets/master-keys.js";
import { reveal } from "../dist/secrets/secret.js";

const alg = process.argv[2];
const keys = masterKeys([Buffer.alloc(32, 1)]);
const now = new Date().toISOString();
const times = { created_at: now, active_at: now, retired_at: null, expires_at: null };
const key = openKey(keys, await makeKey(keys, "T00000001", alg, times));
const claims = {
  iss: "http://localhost:8080/v1/accounts/T00000001",
  sub: "01a20acc-7f03-7ebe-a90b-d762a13e660a",
  aud: "https://api.shop.example",
  exp: 1_795_477_649,
  iat: 1_795_477_529,
  jti: "c3d9bf53-d94c-4f47-b784-f867744445f5",
  sid: "01a20acc-e303-706d-a763-c33d629b7f08",
  client_id: "bench",
  scope: "orders:read orders:write",
  amr: ["otp"],
};

const app = fastify();
app.post("/v1/accounts/:oid/auth/authorize", async (_request, reply) => {
  const token = await signJws(key, "at+jwt", claims);
  return reply.redirect(`https://shop.example/callback#access_token=${reveal(token)}&token_type=Bearer&state=x`, 302);
});
await app.listen({ port: 0, host: "127.0.0.1" });
console.log(app.server.address().port);

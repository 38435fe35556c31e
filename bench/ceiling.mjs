/**
 * What no store can beat: the same HTTP layer (parsing, validation, headers), the same signature, and nothing else. No
 * bearer, no directory, no limits, no log, no audit, no code. Its first argument is the algorithm, or `none`: then HTTP
 * alone, with one token again and again. Each answer leaves when it is ready, as those of a login do, which had to wait
 * for the store; with a second argument, `gather`, those of one turn of the event loop leave together. The engine is
 * set as the server sets it. Prints its port on standard output.
 */
import { OidParams } from "../dist/http/contract.js";
import { openHttp } from "../dist/http/server.js";
import { AuthorizeParameters, Found } from "../dist/oauth/authorize/schema.js";
import { OAuthTokenBody, OAuthTokenReply } from "../dist/oauth/token/schema.js";
import { masterKeys } from "../dist/secrets/master-keys.js";
import { reveal } from "../dist/secrets/secret.js";
import { openLogger } from "../dist/telemetry/log.js";
import { signJws } from "../dist/tokens/jws.js";
import { makeKey, openKey } from "../dist/tokens/keys/key.js";
import { tuneEngine } from "../dist/tune-engine.js";

tuneEngine();
const [, , alg, gather] = process.argv;
const keys = masterKeys([Buffer.alloc(32, 1)]);
const now = new Date().toISOString();
const times = { created_at: now, active_at: now, retired_at: null, expires_at: null };
const key = openKey(keys, await makeKey(keys, "T00000001", alg === "none" ? "ES256" : alg, times));
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
const sign = async () => reveal(await signJws(key, "at+jwt", claims));
const first = await sign();
const token = alg === "none" ? async () => first : sign;

const app = openHttp({
  logger: openLogger("silent"),
  trustProxy: false,
  metrics: { observe() {} },
  gather: gather === "gather",
});
app.route({
  method: "POST",
  url: "/v1/accounts/:oid/auth/authorize",
  config: { surface: "account", public: true, form: "query" },
  schema: { operationId: "ceiling", params: OidParams, querystring: AuthorizeParameters, response: { 302: Found } },
  handler: async (request, reply) =>
    reply.redirect(`${request.query.redirect_uri}#access_token=${await token()}&token_type=Bearer&state=x`, 302),
});
app.route({
  method: "POST",
  url: "/v1/accounts/:oid/oauth/token",
  config: { surface: "oauth", public: true, form: "body" },
  schema: {
    operationId: "ceiling_token",
    params: OidParams,
    body: OAuthTokenBody,
    response: { 200: OAuthTokenReply },
  },
  handler: async () => ({
    access_token: await token(),
    token_type: "Bearer",
    expires_in: 14_400,
    scope: "orders:read",
  }),
});
await app.listen({ port: 0, host: "127.0.0.1" });
console.log(app.server.address().port);

/**
 * oidc-provider as it comes, with one client: tokens for a resource as JWTs signed with ES256 (client_credentials), and
 * opaque ones for introspection. Its store is in memory; it writes nothing that survives the process, and keeps no
 * audit trail. Prints its port.
 */
import { generateKeyPairSync } from "node:crypto";
import { createServer } from "node:http";
import Provider from "oidc-provider";

console.warn = () => {};
const jwk = (pair, fields) => ({ ...pair.privateKey.export({ format: "jwk" }), use: "sig", ...fields });
const keys = [
  jwk(generateKeyPairSync("ec", { namedCurve: "P-256" }), { alg: "ES256", kid: "es" }),
  jwk(generateKeyPairSync("rsa", { modulusLength: 2048 }), { alg: "RS256", kid: "rs" }),
];
const AUDIENCE = "https://api.shop.example";
const OPAQUE = "https://opaque.shop.example";
const provider = new Provider("http://localhost:1", {
  clients: [
    {
      client_id: "bench",
      client_secret: "a-secret-of-this-measurement-and-no-other",
      grant_types: ["client_credentials"],
      response_types: [],
      redirect_uris: [],
      token_endpoint_auth_method: "client_secret_basic",
    },
  ],
  jwks: { keys },
  cookies: { keys: ["bench"] },
  features: {
    devInteractions: { enabled: false },
    clientCredentials: { enabled: true },
    introspection: { enabled: true, allowedPolicy: () => true },
    resourceIndicators: {
      enabled: true,
      getResourceServerInfo: (_ctx, resource) => ({
        scope: "orders:read",
        audience: resource,
        accessTokenTTL: 14_400,
        ...(resource === OPAQUE
          ? { accessTokenFormat: "opaque" }
          : { accessTokenFormat: "jwt", jwt: { sign: { alg: "ES256" } } }),
      }),
    },
  },
  ttl: { ClientCredentials: 14_400 },
});
const server = createServer(provider.callback());
server.keepAliveTimeout = 60_000;
server.listen(0, "127.0.0.1", () => console.log(server.address().port));
process.on("SIGTERM", () => process.exit(0));

export { AUDIENCE };

import { readFileSync } from "node:fs";
import { catalogue } from "../errors.ts";
import type { App } from "./server.ts";

export const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/** Describes every route that is mounted after it. The document is served at /openapi.json, the viewer at /docs. */
export async function describeApi(app: App, public_url: string): Promise<void> {
  const { default: swagger } = await import("@fastify/swagger");
  await app.register(swagger, {
    openapi: {
      openapi: "3.1.0",
      info: {
        title: "Latchkey",
        version,
        description: introduction(),
        license: { name: "Apache-2.0", identifier: "Apache-2.0" },
      },
      servers: [{ url: public_url }],
      components: {
        securitySchemes: {
          JWT: { type: "http", scheme: "bearer", bearerFormat: "JWT", description: "An access token from auth/token." },
          clientAuth: {
            type: "http",
            scheme: "basic",
            description: "client_id and client_secret, at the token endpoints.",
          },
        },
      },
    },
    hideUntagged: true,
    transformObject: (document) =>
      ("openapiObject" in document ? withoutSuffixes(document.openapiObject) : {}) as never,
    transform: ({ schema, url, route }) => {
      const { public: open, scopes, surface } = route.config ?? {};
      const security = open ? (url.endsWith("/token") ? [{ clientAuth: [] }] : []) : [{ JWT: [] }];
      const needs =
        scopes && scopes.length > 0 ? `Scopes, any of: ${scopes.map((scope) => `\`${scope}\``).join(", ")}.` : "";
      const description = [schema?.description, needs].filter(Boolean).join("\n\n");
      return {
        url,
        schema: { ...schema, ...(surface ? { security } : {}), ...(description ? { description } : {}) } as never,
      };
    },
  });
}

export async function serveDocs(app: App): Promise<void> {
  app.get("/openapi.json", { schema: { hide: true } }, async () => app.swagger());
  const { default: viewer } = await import("@fastify/swagger-ui");
  await app.register(viewer, { routePrefix: "/docs", uiConfig: { docExpansion: "list", deepLinking: true } });
}

/** The plug-in adds the method to the operationId of a HEAD route, also where there is no GET of that name. */
function withoutSuffixes<T extends { paths?: object }>(document: T): T {
  for (const methods of Object.values(document.paths ?? {}) as { head?: { operationId?: string } }[]) {
    if (methods.head?.operationId) methods.head.operationId = methods.head.operationId.replace(/-head$/, "");
  }
  return document;
}

function introduction(): string {
  const rows = Object.entries(catalogue).map(
    ([code, { status, message, remedy }]) => `| \`${code}\` | ${status} | ${message} | ${remedy} |`,
  );
  return `Passwordless authorization server.\n\nErrors are \`{"error": {"code", "message", "errors"}}\` with one of these codes:\n\n| code | status | meaning | remedy |\n| --- | --- | --- | --- |\n${rows.join("\n")}`;
}

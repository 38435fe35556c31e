import { readFileSync } from "node:fs";
import fastify, { type FastifyInstance, type RouteOptions } from "fastify";
import { catalogue } from "../errors.ts";
import { lateCompilers } from "./compile-late.ts";
import { completed, type Document } from "./complete-docs.ts";
import { errorReply } from "./error-reply.ts";
import { noSuchAddress } from "./no-such-address.ts";
import type { App } from "./server.ts";

export const { version } = JSON.parse(readFileSync(new URL("../../package.json", import.meta.url), "utf8")) as {
  version: string;
};

/**
 * Serves the description of every route that is mounted after it at /openapi.json, and the viewer at /docs. Both come
 * out of an application of their own, which is made when somebody first asks: a server that nobody reads about does not
 * wait for it.
 */
export function serveDocs(app: App, public_url: string): void {
  const routes: RouteOptions[] = [];
  let opened: Promise<FastifyInstance> | undefined;
  const open = () => {
    opened ??= openDocs(routes, public_url).catch((error: unknown) => {
      // Whoever asks next tries again, save where a module could not be read: Node.js does not.
      opened = undefined;
      throw error;
    });
    return opened;
  };
  const schema = { hide: true };
  // Written once: it has half a million characters, and whoever asks is a stranger.
  let text: string | undefined;
  for (const address of ["/openapi.json", "/docs/json"]) {
    app.get(address, { schema }, async (_, reply) => {
      text ??= JSON.stringify((await open()).swagger());
      return reply.type("application/json; charset=utf-8").send(text);
    });
  }
  // Relative, as all the viewer's addresses are below this one: PUBLIC_URL may have a path.
  app.get("/docs", { schema }, (_, reply) => reply.headers(viewer_headers(public_url)).redirect("docs/"));
  app.get("/docs/*", { schema }, async (request, reply) => {
    const docs = await open();
    for (const [name, value] of Object.entries(reply.getHeaders())) reply.raw.setHeader(name, value as string);
    for (const [name, value] of Object.entries(viewer_headers(public_url))) reply.raw.setHeader(name, value);
    reply.hijack();
    docs.routing(request.raw, reply.raw);
  });
  app.addHook("onRoute", (route) => {
    // The HEAD that comes with a GET comes with it there as well.
    const isGet = ({ method, url }: RouteOptions) => [method].flat().includes("GET") && url === route.url;
    if (route.method !== "HEAD" || !routes.some(isGet)) routes.push({ ...route });
  });
}

/**
 * The viewer is a page on the origin of the login pages, whose forms trust that origin: it runs nothing but its own
 * scripts, and nobody frames it. It asks the server by its public name, whatever name it was itself reached by.
 */
const viewer_headers = (public_url: string) => ({
  "content-security-policy": `default-src 'none'; script-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; connect-src 'self' ${new URL(public_url).origin}; frame-ancestors 'none'; base-uri 'none'; form-action 'none'`,
  "x-frame-options": "DENY",
  "referrer-policy": "no-referrer",
});

async function openDocs(routes: readonly RouteOptions[], public_url: string): Promise<FastifyInstance> {
  const [{ default: swagger }, { default: viewer }] = await Promise.all([
    import("@fastify/swagger"),
    import("@fastify/swagger-ui"),
  ]);
  // Nobody is let in to these routes, so nothing is compiled for them.
  const docs = fastify({ exposeHeadRoutes: true, schemaController: { compilersFactory: lateCompilers().factory } });
  docs.setNotFoundHandler(noSuchAddress);
  docs.setErrorHandler(errorReply);
  await docs.register(swagger, {
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
      ("openapiObject" in document ? completed(document.openapiObject as Document) : {}) as never,
    transform: ({ schema, url, route }) => {
      const { public: open, credentials = [], scopes = [], subject_types, surface, form } = route.config ?? {};
      const security = open ? credentials.map((name) => SECURITY[name]) : [{ JWT: [] }];
      const takes = `Takes ${(subject_types ?? ["client"]).map((type) => WHOSE[type]).join(" or ")} token.`;
      const needs = scopes.length > 0 ? ` Scopes, any of: ${scopes.map((scope) => `\`${scope}\``).join(", ")}.` : "";
      const bearer = open || !surface ? "" : takes + needs;
      const description = [schema?.description, bearer].filter(Boolean).join("\n\n");
      return {
        url,
        schema: {
          ...schema,
          ...(surface ? { security } : {}),
          ...(description ? { description } : {}),
          ...(form === "body" ? { consumes: [JSON_TYPE, FORM_TYPE] } : {}),
          ...(form === "query" ? { consumes: [FORM_TYPE], body: optional(schema?.querystring as object) } : {}),
        } as never,
      };
    },
  });
  for (const route of routes) docs.route(route);
  await docs.register(viewer, {
    routePrefix: "/docs",
    uiConfig: { docExpansion: "list", deepLinking: true },
    theme: {
      title: "Latchkey",
      css: [{ filename: "looks.css", content: LOOKS }],
      js: [{ filename: "dark.js", content: DARK }],
    },
  });
  await docs.ready();
  return docs;
}

/**
 * Tables scroll by themselves on a phone, and the one of errors stands in lines; the bar above, which is to open other
 * documents, opens none here, and no answer has links. Where the browser is dark, so is the page before the viewer has come, and names of headers can be read.
 */
const LOOKS = `.swagger-ui .topbar,.swagger-ui .response-col_links{display:none}
.swagger-ui .info{margin:30px 0}
.swagger-ui .info summary{cursor:pointer;padding:.75em 0;font-size:14px}
@media (max-width:640px){.swagger-ui .info thead{display:none}
.swagger-ui .info tr{display:block;padding:.5em 0}
.swagger-ui .info .renderedMarkdown td,.swagger-ui .info .markdown td{display:block;padding:.1em 0}}
@media (prefers-color-scheme:dark){html:not(.dark-mode){background:#1c2022}}
html.dark-mode .swagger-ui summary,html.dark-mode .swagger-ui .headers td{color:#e4e6e6}
.swagger-ui .markdown table,.swagger-ui .renderedMarkdown table{display:block;overflow-x:auto}
.swagger-ui .markdown th,.swagger-ui .renderedMarkdown th,.swagger-ui .markdown td,.swagger-ui .renderedMarkdown td{padding-right:1em}`;

/** The viewer looks once, when it is opened, at whether the browser is dark; this goes on looking. */
const DARK = `matchMedia("(prefers-color-scheme: dark)").addEventListener("change", ({ matches }) => {
  document.documentElement.classList.toggle("dark-mode", matches);
});
`;

const JSON_TYPE = "application/json";
const FORM_TYPE = "application/x-www-form-urlencoded";
const WHOSE = { client: "a client's", user: "a person's" } as const;
const SECURITY = { client: { clientAuth: [] }, bearer: { JWT: [] }, none: {} } as const;

/** The parameters of a query, of which any may stand in the form instead. */
function optional(querystring: object): object {
  const { required = [] } = querystring as { required?: readonly string[] };
  const needed = required.map((name) => `\`${name}\``).join(", ");
  const description = `The parameters may come here instead of the query. ${needed} are required in one of the two.`;
  return { ...querystring, required: [], description };
}

function introduction(): string {
  const rows = Object.entries(catalogue).map(
    ([code, { status, message, remedy }]) => `| \`${code}\` | ${status} | ${message} | ${remedy} |`,
  );
  const table = ["| code | status | meaning | remedy |", "| --- | --- | --- | --- |", ...rows].join("\n");
  const errors = 'Errors are `{"error": {"code", "message", "errors"}}` with one of the codes below.';
  // Folded, since whoever reads it came for the operations. The empty lines let Markdown go on inside (CommonMark §4.6).
  const folded = `<details>\n<summary>All ${rows.length} codes, with what to do</summary>\n\n${table}\n\n</details>`;
  return `Passwordless authorization server.\n\n${errors}\n\n${folded}`;
}

import { Type } from "typebox";
import { refuse } from "../errors.ts";
import { bearer_refusals, OidParams, refusals } from "../http/contract.ts";
import type { App } from "../http/server.ts";
import type { Storage } from "../storage/storage.ts";
import type { RenderCode } from "./kinds.ts";
import { sandboxMessages } from "./sandbox.ts";

const Message = Type.Object({
  id: Type.String(),
  created_at: Type.String({ format: "date-time" }),
  connection: Type.String(),
  to: Type.String(),
  subject: Type.String(),
  text: Type.String(),
  html: Type.String({ description: "Empty for an SMS." }),
  verification_code: Type.Optional(Type.String({ description: "Where the message holds one." })),
});

const SandboxQuery = Type.Object({
  to: Type.Optional(
    Type.String({ minLength: 1, maxLength: 320, description: "Address or number; all when left out." }),
  ),
});

export interface SandboxDeps {
  readonly storage: Storage;
  readonly renderCode: RenderCode;
  /** One spelling for an address or number. */
  canonicalRecipient(account_id: string, to: string): Promise<string>;
}

export function sandboxRoutes(app: App, { storage, renderCode, canonicalRecipient }: SandboxDeps): void {
  app.route({
    method: "GET",
    url: "/v1/accounts/:oid/sandbox/messages",
    config: { surface: "account", scopes: ["admin:accounts", "read:accounts:/sandbox"] },
    schema: {
      operationId: "sandbox_messages_get",
      summary: "Read the sandbox inbox of a test account",
      description:
        "What the account would have sent, newest first, at most 50. Production accounts have no sandbox: 404.",
      tags: ["sandbox"],
      params: OidParams,
      querystring: SandboxQuery,
      response: { 200: Type.Array(Message), ...refusals("account", ...bearer_refusals, "not_found") },
    },
    handler: async (request, reply) => {
      const { account_id, query } = request;
      if (!account_id.startsWith("T")) throw refuse("not_found", { message: "A production account has no sandbox." });
      const to = query.to === undefined ? null : await canonicalRecipient(account_id, query.to);
      reply.header("cache-control", "no-store");
      return [...(await sandboxMessages(storage, renderCode, account_id, to))];
    },
  });
}

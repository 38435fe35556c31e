/**
 * What every route declares as data, so that one hook can enforce it: who may call, with which scopes, in which shape.
 * A route without an operationId, responses, and either `scopes` or `public` does not boot.
 *
 * In: Fastify's route options. Out: the types and schema fragments that rooms build their contracts from.
 */
import { type TSchema, Type } from "typebox";
import { catalogue, type ErrorCode } from "../errors.ts";

export type SubjectType = "client" | "user";

/** Whose access token came with the request, checked in full. */
export interface Bearer {
  /** Canonical. */
  readonly account_id: string;
  readonly subject_type: SubjectType;
  /** uuid of the client or user. */
  readonly subject: string;
  /** The person as the client knows them, where that is another id (OpenID Connect Core §8). */
  readonly pairwise_subject?: string | undefined;
  /** The client that the token was issued to: its registered client_id, and its uuid. */
  readonly client_id: string;
  readonly client_uuid: string;
  readonly scope: readonly string[];
  readonly sid: string;
  /** When that login began; milliseconds since the epoch. */
  readonly began_at?: number | undefined;
  /** What it is for, by the name that was asked for. */
  readonly audience?: string | undefined;
  /** What a revocation can name to end it. */
  readonly hangs_on?: readonly string[] | undefined;
  readonly grant_id?: string | undefined;
  /** Seconds since the epoch; of a person's token. */
  readonly auth_time?: number | undefined;
  readonly amr?: readonly string[] | undefined;
  /** Of a login by a device that the person let in (RFC 8628), which may be anybody's. */
  readonly by_device?: true | undefined;
  /** Thumbprint of the key that it is bound to (RFC 9449 §6.1). */
  readonly jkt?: string | undefined;
  /** An ID token of the account's own provider, not a token of ours. */
  readonly external?: true;
}

/** The account API answers its own error object, `oauth` that of RFC 6749 §5.2, `system` serves machines and operators. */
export type Surface = "account" | "oauth" | "system";

/** A client's own, an access token in the header, or what stands in the body or nothing. */
export type Credential = "client" | "bearer" | "none";

export interface RouteContract {
  readonly surface: Surface;
  /** Callable without a bearer token. */
  readonly public?: true;
  /** By what a public route may be told who calls, for its description; any of them. Nothing at all without it. */
  readonly credentials?: readonly Credential[];
  /** One of them suffices; empty means that any token of an accepted subject type does. */
  readonly scopes?: readonly string[];
  /** Default: clients only. */
  readonly subject_types?: readonly SubjectType[];
  /** Another kind of subject is answered as if it had no valid token: 401 instead of 403. */
  readonly foreign_subject?: "invalid_token";
  /** Also takes an ID token of the account's own provider, for its external account users. */
  readonly external?: true;
  /**
   * Also takes application/x-www-form-urlencoded: as another spelling of the JSON body, or for the parameters of the query,
   * which keeps them out of proxies' logs.
   */
  readonly form?: "body" | "query";
  /**
   * Parameters that name an API. They alone may come several times (RFC 8707 §2, RFC 8693 §2.1): the same API again is
   * no fault, and another one is `invalid_target`.
   */
  readonly targets?: readonly string[];
  /** A browser is looking: errors are pages where it asks for HTML. */
  readonly page?: true;
  /** `Access-Control-Allow-Origin: *`; default true on `account` and `oauth`. */
  readonly cors?: boolean;
}

declare module "fastify" {
  interface FastifyContextConfig extends Partial<RouteContract> {}
  interface FastifyRequest {
    /** Canonical; of the path. */
    account_id: string;
    /** @throws when the route is public: there is none. */
    readonly bearer: Bearer;
  }
  interface FastifySchema {
    operationId?: string;
    summary?: string;
    description?: string;
    tags?: readonly string[];
    security?: readonly unknown[];
    hide?: boolean;
  }
}

/** `P` or `T`, then three or eight digits. */
const OID_PATTERN = "^[PT]{1}(?=(?:.{3}|.{8})$)[0-9]*$";

export const Oid = Type.String({
  pattern: OID_PATTERN,
  description: "Account or owner: `P` (production) or `T` (test), then three or eight digits.",
});

export const OidParams = Type.Object({ oid: Oid });

/** An id that this server gave. Like every `uuid`, it may come in capitals on the account API, and none is refused for its form. */
export const Uuid = (description: string) => Type.String({ maxLength: 64, format: "uuid", description });

/** What a login is bound to, or who somebody is, is never left out for being empty or null (`other-spellings.ts`). */
export const AS_SENT = { "x-as-sent": true } as const;

export const EndUserHeaders = Type.Object({
  "end-user-ip": Type.Optional(
    Type.String({ maxLength: 64, description: "The end user's address, from a client that is called_from server." }),
  ),
});

const ErrorObject = Type.Object({
  error: Type.Object({
    code: Type.String(),
    message: Type.String(),
    errors: Type.Optional(
      Type.Array(Type.Object({ path: Type.String(), code: Type.String(), message: Type.String() })),
    ),
  }),
  mfa_token: Type.Optional(Type.String()),
});

/** RFC 6749 §5.2 */
const OAuthError = Type.Object({
  error: Type.String(),
  error_description: Type.Optional(Type.String()),
});

/** RFC 6749 §5.2: refusals of the standard surface are 400, save failed client authentication. */
export function statusOn(surface: Surface, { code, status }: { readonly code: ErrorCode; readonly status: number }) {
  return surface === "oauth" && code === "unauthorized_client" ? 400 : status;
}

/** Response schemas for the error codes an operation can answer, grouped by status, each code named with its meaning. */
export function refusals(surface: "account" | "oauth", ...codes: readonly ErrorCode[]): Record<number, TSchema> {
  const always: readonly ErrorCode[] = ["internal_error", "temporarily_unavailable"];
  const byStatus = new Map<number, ErrorCode[]>();
  for (const code of new Set([...codes, ...always])) {
    const status = statusOn(surface, { code, status: catalogue[code].status });
    byStatus.set(status, [...(byStatus.get(status) ?? []), code]);
  }
  const shape = surface === "account" ? ErrorObject : OAuthError;
  return Object.fromEntries(
    [...byStatus].map(([status, list]) => [
      status,
      { ...shape, description: list.map((code) => `\`${code}\`: ${catalogue[code].message}`).join(" ") },
    ]),
  );
}

/** What every route with a bearer can answer. */
export const bearer_refusals = [
  "invalid_request",
  "invalid_token",
  "insufficient_scope",
  "unauthorized_client",
] as const satisfies ErrorCode[];

/** An answer without a body, by a status that may have one: a null would be written out. */
export const NOTHING = undefined as never;

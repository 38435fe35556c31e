import { readJson } from "../../http/json.ts";
import { acr_values } from "../authorization-for.ts";
import { type ClaimName, claim_names } from "../userinfo/claims-about.ts";
import type { AuthorizationParameters } from "./authorization-request.ts";
import { refuseRequest } from "./redirected-refusal.ts";

export interface ReadClaims {
  readonly claims?: AuthorizationParameters["claims"];
  /** The class that is asked for. */
  readonly acr?: string | undefined;
  /** Classes of ours of which the ID token is to name one; undefined where it may name any. */
  readonly named_acr?: readonly string[] | undefined;
  /** The classes of which one has to be reached; undefined where none has to. */
  readonly essential_acr?: readonly string[] | undefined;
  /** Whom the ID token has to be about. */
  readonly sub?: string | undefined;
}

/**
 * The `claims` parameter (OpenID Connect Core §5.5). Names that nobody here knows are voluntary, and left out.
 *
 * @throws 400 invalid_request.
 */
export function readClaims(text: string | undefined): ReadClaims {
  if (text === undefined) return {};
  const { id_token, userinfo } = objectOf(parse(text));
  const [token, info] = [objectOf(id_token ?? {}), objectOf(userinfo ?? {})];
  const known = (asked: object) => claim_names.filter((name): name is ClaimName => Object.hasOwn(asked, name));
  return {
    claims: { id_token: known(token), userinfo: known(info) },
    acr: acrOf(token.acr),
    named_acr: namedAcr(token.acr),
    essential_acr: essentialAcr(token.acr),
    sub: namedValue(token.sub),
  };
}

function parse(text: string): unknown {
  const { value, fault } = readJson(text);
  if (fault) throw refuseRequest(`claims ${fault.message}.`);
  return value;
}

function objectOf(value: unknown): Readonly<Record<string, unknown>> {
  if (typeof value !== "object" || value === null || Array.isArray(value)) {
    throw refuseRequest("claims must be an object of the objects id_token and userinfo.");
  }
  return value as Record<string, unknown>;
}

const namedValue = (asked: unknown): string | undefined => {
  const { value } = (asked ?? {}) as { value?: unknown };
  return typeof value === "string" ? value : undefined;
};

function acrsOf(asked: unknown): readonly unknown[] {
  const { values } = (asked ?? {}) as { values?: unknown };
  return Array.isArray(values) ? values : [namedValue(asked)].filter((value) => value !== undefined);
}

function namedAcr(asked: unknown): readonly string[] | undefined {
  const values = acrsOf(asked);
  const named = acr_values.filter((one) => values.includes(one));
  return named.length === 0 ? undefined : named;
}

/** OpenID Connect Core §5.5.1.1: without a value any class will do. */
function essentialAcr(asked: unknown): readonly string[] | undefined {
  const values = acrsOf(asked);
  if ((asked as { essential?: unknown } | null | undefined)?.essential !== true || values.length === 0)
    return undefined;
  return acr_values.filter((one) => values.includes(one));
}

function acrOf(asked: unknown): string | undefined {
  return acrsOf(asked).find((one): one is string => (acr_values as readonly unknown[]).includes(one));
}

/** What every operation has in common and no route says: headers of its answers, and refusals from before a handler. */
import { catalogue, type ErrorCode } from "../errors.ts";

interface Answer {
  description: string;
  content?: object;
  headers?: Record<string, object>;
}

interface Operation {
  operationId?: string;
  parameters?: readonly { readonly in: string; required?: boolean; readonly schema?: { readonly default?: unknown } }[];
  requestBody?: { content?: Record<string, { readonly schema?: object }>; required?: boolean };
  responses: Record<string, Answer | { readonly $ref: string }>;
}

export interface Document {
  paths?: Record<string, Record<string, Operation>>;
  components?: { headers?: Record<string, object>; responses?: Record<string, object> };
}

interface Header {
  readonly about: string;
  /** `said`: the codes of a refusal with this status. */
  readonly applies: (status: number, operation: string, said: string) => boolean;
}

const HEADERS: Readonly<Record<string, Header>> = {
  "Request-Id": { about: "Of the log lines about this request.", applies: () => true },
  Location: { about: "Where to go on.", applies: (status) => status >= 300 && status < 400 },
  "WWW-Authenticate": {
    about: "What is missing, and where to get it (RFC 6750 §3).",
    applies: (status) => status === 401 || status === 403,
  },
  "Retry-After": {
    about: "Seconds.",
    applies: (status, _operation, said) => status === 429 || status === 503 || said.includes("`client_unreachable`"),
  },
  "DPoP-Nonce": {
    about: "To be named in the next proof (RFC 9449 §8).",
    applies: (status, operation) => status === 401 || (status === 400 && /_(token|par)_post$/.test(operation)),
  },
  "Login-Session-Id": {
    about: "Names this send, when the code is redeemed or sent again.",
    applies: (status, operation) => status === 204 && operation === "aid_auth_account_passwordless_post",
  },
};

/** Also takes away what the plug-in adds to the operationId of a HEAD route where there is no GET of that name. */
export function completed<T extends Document>(document: T): T {
  const headers = Object.entries(HEADERS).map(([name, { about }]) => [
    name,
    { description: about, schema: { type: "string" } },
  ]);
  const early: Record<string, object> = {};
  for (const operation of Object.values(document.paths ?? {}).flatMap((methods) => Object.values(methods))) {
    const { parameters = [], responses, requestBody } = operation;
    const id = (operation.operationId ?? "").replace(/-head$/, "");
    operation.operationId = id;
    if (requestBody && !isNeeded(requestBody)) requestBody.required = false;
    for (const parameter of parameters) {
      const elsewhere = requestBody !== undefined && isFormAlone(requestBody);
      if (parameter.in === "query" && (elsewhere || parameter.schema?.default !== undefined)) delete parameter.required;
    }
    for (const [status, answer] of Object.entries(responses)) {
      const said = "$ref" in answer ? "" : answer.description;
      const names = Object.keys(HEADERS).filter((name) => HEADERS[name]?.applies(Number(status), id, said));
      const refs = names.map((name) => [name, { $ref: `#/components/headers/${name}` }]);
      if (!("$ref" in answer)) answer.headers = { ...answer.headers, ...Object.fromEntries(refs) };
    }
    refuseEarly(operation, early);
  }
  document.components = { ...document.components, headers: Object.fromEntries(headers), responses: early };
  return document;
}

type Body = NonNullable<Operation["requestBody"]>;

interface BodySchema {
  readonly type: string;
  readonly anyOf: readonly { readonly type?: string }[];
  readonly required: readonly string[];
  readonly minProperties: number;
}

/** It is another place for what the query may hold as well. */
const isFormAlone = ({ content = {} }: Body) => !("application/json" in content);

/** Where every member may be left out, all may; and where null will do, nothing does. */
function isNeeded(body: Body): boolean {
  const schema = (body.content?.["application/json"]?.schema ?? {}) as Partial<BodySchema>;
  const { type, anyOf = [], required = [], minProperties = 0 } = schema;
  if (isFormAlone(body) || anyOf.some((one) => one.type === "null")) return false;
  return !(type === "object" && required.length === 0 && minProperties === 0);
}

/** Bodies that are too long or of another kind, and names in the path that are too long: in the shape of the other refusals. */
function refuseEarly({ parameters = [], requestBody, responses }: Operation, early: Record<string, object>): void {
  const fault = responses["500"];
  if (!fault || "$ref" in fault) return;
  const { content, headers } = fault;
  const surface = JSON.stringify(content).includes("error_description") ? "oauth" : "account";
  const codes: ErrorCode[] = [
    ...(requestBody ? (["payload_too_large", "unsupported_media_type"] as const) : []),
    ...(parameters.some((one) => one.in === "path") ? (["uri_too_long"] as const) : []),
  ];
  for (const code of codes) {
    const { status, message } = catalogue[code];
    early[`${surface}_${code}`] = { description: `\`${code}\`: ${message}`, headers, content };
    responses[status] ??= { $ref: `#/components/responses/${surface}_${code}` };
  }
}

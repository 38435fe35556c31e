/**
 * Scopes of the account API: `verb:resource[:/sub/path]`. What a client may hand on is bounded by what it holds.
 */
import { refuse } from "../errors.ts";
import type { Bearer } from "../http/contract.ts";

/** Scopes of the account API by the names that they had before, which its clients may have been made with. */
const FORMER = new Map([
  ["accounts:admin", "admin:accounts"],
  ["accounts:write", "write:accounts"],
  ["accounts:read", "read:accounts"],
  ["accounts:auth:users", "write:accounts:/auth/users"],
  ["customer_customers:admin", "admin:customers"],
  ["customer_customers:write", "write:customers"],
  ["customer_customers:read", "read:customers"],
]);

/** What no other service's resource is called: verbs, and what operations here ask for, whose former names are above. */
const OURS = new Set(
  "admin write read create user public account accounts applicant customers customer_customers".split(" "),
);

/** `checkout:admin`, the former name of another service's `admin:checkout`; undefined where it is none. */
function turned(scope: string): string | undefined {
  const [, resource = "", verb] = /^([a-z_]+):(admin|write|read)$/.exec(scope) ?? [];
  return verb && !OURS.has(resource) ? `${verb}:${resource}` : undefined;
}

const nowOf = (scope: string) => FORMER.get(scope) ?? turned(scope) ?? scope;

/** What somebody holds at the account API as its operations name it; what came by a former name stays beside that. */
export function heldNow(scope: readonly string[]): readonly string[] {
  const now = scope.flatMap((one) => FORMER.get(one) ?? []);
  return now.length > 0 ? [...new Set([...scope, ...now])] : scope;
}

/** Harmless in anybody's hands: they speak about the person who logs in, or are public. */
export function isPersonal(scope: string): boolean {
  return ["openid", "profile", "email", "phone"].includes(scope) || /^(user|public):[^\s"\\]+$/.test(scope);
}

/** Verbs that reach below what they name. */
const DEEP = ["admin", "write", "read"];

/**
 * Whether one of these covers a scope: each itself, `admin:x` every verb on x and below it, `write:x` and `read:x`
 * themselves below x. A former name says what the one of now does, and nothing else. People and grants may hold thousands, so
 * each is read once and not once for each that is asked about.
 */
export function coverageOf(held: readonly string[]): (wanted: string) => boolean {
  const named = new Set(held.map(nowOf));
  const read = [...named].map(partsOf);
  const of = (verb: string) => read.flatMap((one) => (one.verb === verb && one.path ? [one.path] : []));
  const tops = new Map(DEEP.map((verb) => [verb, topmost(of(verb))]));
  return (asked) => {
    const wanted = nowOf(asked);
    if (named.has(wanted)) return true;
    const { verb, path } = partsOf(wanted);
    return path !== undefined && ["admin", verb].some((one) => isBelow(tops.get(one) ?? [], path));
  };
}

/** The same at another API, whose words are its own: one that would be another here covers itself alone there. */
function coverageAtOthers(held: readonly string[]): (wanted: string) => boolean {
  const isAsWritten = (scope: string) => turned(scope) === undefined;
  const words = new Set(held);
  const covers = coverageOf([...words].filter(isAsWritten));
  return (wanted) => (isAsWritten(wanted) ? covers(wanted) : words.has(wanted));
}

/** The path ends in a colon, so that what is below another begins with it. */
function partsOf(scope: string): { readonly verb: string; readonly path?: string } {
  const [, verb, resource] = /^([a-z]+):(.+)$/.exec(scope) ?? [];
  return verb && resource ? { verb, path: `${resource}:` } : { verb: "" };
}

/** Sorted, without those that are below another of them. */
function topmost(paths: readonly string[]): readonly string[] {
  const tops: string[] = [];
  for (const path of paths.toSorted()) {
    const top = tops.at(-1);
    if (top === undefined || !path.startsWith(top)) tops.push(path);
  }
  return tops;
}

/** Of `tops` none begins with another, so that one above a path is the last that is not after it. */
function isBelow(tops: readonly string[], path: string): boolean {
  let [from, to] = [0, tops.length];
  while (from < to) {
    const middle = (from + to) >> 1;
    if ((tops[middle] ?? "") <= path) from = middle + 1;
    else to = middle;
  }
  const last = tops[from - 1];
  return last !== undefined && path.startsWith(last);
}

/** Whether it speaks about the person, or names what operations here ask for: no word of another service's own. */
export function isOurs(scope: string): boolean {
  const [, resource = ""] = /^[a-z]+:([a-z_]+)/.exec(nowOf(scope)) ?? [];
  return isPersonal(scope) || OURS.has(resource);
}

/**
 * Whoever can obtain or change what a client is trusted with must hold every scope of it, or they would raise themselves.
 * A scope at another API is that API's own affair: the account's administrator may hand it out.
 *
 * @throws 403 insufficient_scope naming what is missing.
 */
export function checkHoldsAll(
  bearer: Bearer,
  scopes: readonly { readonly scope: string; readonly at_account_api: boolean }[],
  isHeld = coverageOf(bearer.scope),
): void {
  const handsOutAny = scopes.every((one) => one.at_account_api) || bearer.scope.includes("admin:accounts");
  const isHeldAtOthers = handsOutAny ? () => true : coverageAtOthers(bearer.scope);
  const missing = scopes
    .filter(({ scope, at_account_api }) => !isPersonal(scope) && !(at_account_api ? isHeld : isHeldAtOthers)(scope))
    .map(({ scope }) => scope);
  if (missing.length === 0) return;
  const named = [...new Set(missing)].slice(0, 5);
  throw refuse("insufficient_scope", {
    message: `The access token does not hold what this would hand on: ${named.join(" ")}.`,
    scopes: named,
  });
}

/** Scopes with which a bearer acts for every client of its account. */
const FOR_ANY = ["admin:accounts", "write:accounts", "write:accounts:/auth/users"];

export const actsForAny = ({ scope }: Pick<Bearer, "scope">): boolean =>
  FOR_ANY.some((wanted) => scope.includes(wanted));

/** A bearer acts for its own client, and for any other with one of those scopes. */
export function actsFor(bearer: Bearer, client_id: string): boolean {
  return bearer.client_uuid === client_id || actsForAny(bearer);
}

/**
 * `further` are scopes that allow this one operation too, for any client.
 *
 * @throws 403 insufficient_scope.
 */
export function checkActsFor(bearer: Bearer, client: { readonly id: string }, further: readonly string[] = []): void {
  if (actsFor(bearer, client.id) || further.some((scope) => bearer.scope.includes(scope))) return;
  const scopes = [...FOR_ANY, ...further];
  throw refuse("insufficient_scope", { message: "The access token may not act for this client.", scopes });
}

/**
 * A person's own scope, `user:customers`, speaks of themselves alone; about anybody, also nobody, it takes one of those.
 *
 * @throws 403 insufficient_scope.
 */
export function checkActsForUser(
  { scope, subject_type, subject }: Bearer,
  user_id: string | undefined,
  scopes: readonly string[],
): void {
  if (scopes.some((wanted) => scope.includes(wanted))) return;
  if (subject_type === "user" && subject === user_id) return;
  throw refuse("insufficient_scope", { message: "With user:customers a person acts for themselves alone.", scopes });
}

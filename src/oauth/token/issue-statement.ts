import { type AuditEvent, type AuditRow, audit_columns, auditEvent } from "../../audit/audit.ts";
import type { ProvenClient } from "../../directory/clients/secret.ts";
import { secretLives } from "../../directory/clients/secret-lives.ts";
import { clientLives, userLives } from "../../directory/lives.ts";
import { rowOf } from "../../storage/by-key.ts";
import { hotSource } from "../../storage/hot-sources.ts";
import { setForm } from "../../storage/set-form.ts";
import { type HotStatement, instant, type Storage } from "../../storage/storage.ts";

export interface IssueInput {
  readonly account_id: string;
  /** uuid */
  readonly client_id: string;
  /** The secret that the client showed; empty where it showed none. */
  readonly secret_id: string;
  readonly grant_id: string;
  /** Whom the token speaks of; empty where that is the client. */
  readonly user_id: string;
  readonly event: AuditRow;
}

export interface IssueAnswer {
  /** Client, secret, grant and user live. */
  readonly alive: boolean;
  /** JSON: what the grant holds now. */
  readonly scope: string;
}

const form = setForm([
  "account_id",
  "client_id",
  "secret_id",
  "grant_id",
  "user_id",
  "now",
  "event_id",
  "action",
  "entity",
  "actor",
  "context",
]);

const lives = (input: typeof form.field) =>
  `select g.scope ${rowOf(
    "live_grants g",
    { account_id: input("account_id"), id: input("grant_id") },
    `g.client_id = ${input("client_id")}
    and ${clientLives(input("account_id"), input("client_id"))}
    and ${secretLives(input("account_id"), input("client_id"), input("secret_id"), input("now"))}
    and (${input("user_id")} = '' or ${userLives(input("account_id"), input("user_id"))})`,
  )}`;

const SQLITE_LIVES = lives(form.place);

/** Says in the audit trail that a client got a token, if everybody concerned lives: as committed, whatever a cache holds. */
export const issueStatement: HotStatement<IssueInput, IssueAnswer> = {
  name: "issue_token",
  source: hotSource(import.meta.url),
  mode: { kind: "spending" },
  key: ({ event }) => event.id,
  sqlite(db, { account_id, client_id, secret_id, grant_id, user_id, event }) {
    const { id, created_at, action, entity, actor, context } = event;
    const found = db.one(SQLITE_LIVES, account_id, client_id, secret_id, grant_id, user_id, created_at);
    if (!found) return { alive: false, scope: "[]" };
    db.run(
      `insert into audit_events (${audit_columns}) values (?1, ?2, ?3, ?4, 'success', ?5, ?6, ?7)`,
      account_id,
      id,
      created_at,
      action,
      entity,
      actor,
      context,
    );
    return { alive: true, scope: String(found.scope) };
  },
  postgres: {
    text: `with ${form.input},
      alive as materialized (
        select i.*, (${lives(form.field)}) as scope from input i
      ),
      audited as (
        insert into audit_events (${audit_columns})
        select account_id, event_id, now, action, 'success', entity, actor, context
        from alive where scope is not null
      )
      select scope from alive order by n`,
    parameters: (inputs) =>
      form.parameters(
        inputs.map(({ event, ...ids }) => ({ ...event, ...ids, now: event.created_at, event_id: event.id })),
      ),
    answers: (rows) => rows.map(({ scope }) => ({ alive: scope !== null, scope: String(scope ?? "[]") })),
  },
};

export interface Issue {
  readonly client: ProvenClient;
  readonly grant_id: string;
  /** As in `IssueInput`. */
  readonly user_id: string;
  readonly now: number;
}

/** @returns what the grant holds now; undefined where client, secret, grant or person is gone, and nothing is recorded. */
export async function recordIssued(
  storage: Storage,
  { client: { account_id, id: client_id, secret_id }, grant_id, user_id, now }: Issue,
  deed: Pick<AuditEvent, "action" | "entity" | "context">,
): Promise<readonly string[] | undefined> {
  const { action, entity, context } = deed;
  const created_at = instant(now);
  const event = auditEvent({ account_id, created_at, action, outcome: "success", entity, actor: client_id, context });
  const input = { account_id, client_id, secret_id, grant_id, user_id, event };
  const { alive, scope } = await storage.hot(issueStatement, input);
  return alive ? (JSON.parse(scope) as string[]) : undefined;
}

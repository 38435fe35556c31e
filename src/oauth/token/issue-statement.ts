import { type AuditRow, audit_columns } from "../../audit/audit.ts";
import { secretLives } from "../../directory/clients/secret-lives.ts";
import { inputOf } from "../../storage/set-form.ts";
import type { HotStatement } from "../../storage/storage.ts";

export interface IssueInput {
  readonly account_id: string;
  /** uuid */
  readonly client_id: string;
  /** The secret that the client showed; empty where it showed none. */
  readonly secret_id: string;
  readonly grant_id: string;
  readonly event: AuditRow;
}

export interface IssueAnswer {
  /** Client, secret and grant live. */
  readonly alive: boolean;
  /** JSON: what the grant holds now. */
  readonly scope: string;
}

const columns = ["account_id", "client_id", "secret_id", "grant_id", "now", "event_id", "context"] as const;

const lives = (account_id: string, client_id: string, secret_id: string, grant_id: string, now: string) =>
  `select g.scope from live_grants g
    join live_clients c on c.account_id = g.account_id and c.id = g.client_id
  where g.account_id = ${account_id} and g.id = ${grant_id} and g.client_id = ${client_id}
    and ${secretLives(account_id, client_id, secret_id, now)}`;

const SQLITE_LIVES = lives("?1", "?2", "?3", "?4", "?5");

const ACTION = "auth.token";

/** Says in the audit trail that a client got a token, if client, secret and grant live: as committed, whatever a cache holds. */
export const issueStatement: HotStatement<IssueInput, IssueAnswer> = {
  name: "issue_client_token",
  source: import.meta.url,
  mode: { kind: "spending" },
  key: ({ event }) => event.id,
  sqlite(db, { account_id, client_id, secret_id, grant_id, event }) {
    const { id, created_at, context } = event;
    const found = db.one(SQLITE_LIVES, account_id, client_id, secret_id, grant_id, created_at);
    if (!found) return { alive: false, scope: "[]" };
    db.run(
      `insert into audit_events (${audit_columns}) values (?1, ?2, ?3, '${ACTION}', 'success', ?4, ?4, ?5)`,
      account_id,
      id,
      created_at,
      client_id,
      context,
    );
    return { alive: true, scope: String(found.scope) };
  },
  postgres: {
    text: `with ${inputOf(columns.map((column) => [column, "text"]))},
      alive as materialized (
        select i.*, (${lives("i.account_id", "i.client_id", "i.secret_id", "i.grant_id", "i.now")}) as scope from input i
      ),
      audited as (
        insert into audit_events (${audit_columns})
        select account_id, event_id, now, '${ACTION}', 'success', client_id, client_id, context
        from alive where scope is not null
      )
      select scope from alive order by n`,
    parameters: (inputs) => [
      inputs.map(({ account_id }) => account_id),
      inputs.map(({ client_id }) => client_id),
      inputs.map(({ secret_id }) => secret_id),
      inputs.map(({ grant_id }) => grant_id),
      inputs.map(({ event }) => event.created_at),
      inputs.map(({ event }) => event.id),
      inputs.map(({ event }) => event.context),
    ],
    answers: (rows) => rows.map(({ scope }) => ({ alive: scope !== null, scope: String(scope ?? "[]") })),
  },
};

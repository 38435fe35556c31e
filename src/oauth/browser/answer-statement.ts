import { sessionLives } from "../../authentication/sessions/session-lives.ts";
import { rewrite, rowOf } from "../../storage/by-key.ts";
import { hotSource } from "../../storage/hot-sources.ts";
import { setForm } from "../../storage/set-form.ts";
import type { HotStatement, Instant, Row } from "../../storage/storage.ts";

export interface Answering {
  readonly account_id: string;
  readonly session_id: string;
  readonly now: Instant;
  readonly idle_expires_at: Instant;
  /** One that was kept for a login page, and ends with its answer. */
  readonly request_id: string | null;
  /** What comes of the answer is remembered by it, to be ended with the session; nothing comes of one to a page of ours. */
  readonly sid: string | null;
  /** The client's uuid. */
  readonly client_id: string;
  /** For what, at which host and to which scopes, in JSON, the person must have agreed; null where nobody is asked. */
  readonly consent_audience: string | null;
  readonly consent_host: string | null;
  readonly consent_scope: string | null;
}

/** `given`, or what stands against it; then nothing was written. */
export type Answered = "given" | "given_before" | "session_ended" | "consent_withdrawn" | "session_full";

const form = setForm([
  "account_id",
  "session_id",
  "now",
  "idle_expires_at",
  "request_id",
  "sid",
  "client_id",
  "consent_audience",
  "consent_host",
  "consent_scope",
]);

const OPEN = `select 1 from authorization_requests
  where account_id = ?1 and id = ?2 and used_at is null and expires_at > ?3`;
const SESSION = `select user_id, expires_at from sessions
  where account_id = ?1 and id = ?2 and ended_at is null and idle_expires_at > ?3 and ${sessionLives("sessions")}`;
const CONSENT = `select scope, host from consents
  where account_id = ?1 and user_id = ?2 and client_id = ?3 and audience = ?4`;
/** What one session may have led to at a time: two hundred logins an hour, all day long. */
export const LED_LIMIT = 5_000;
const full = (account_id: string, session_id: string) => `select 1 from session_authorizations
  where account_id = ${account_id} and session_id = ${session_id} limit 1 offset ${LED_LIMIT - 1}`;
const FULL = full("?1", "?2");
const authorization_columns = "account_id, session_id, sid, client_id, created_at, expires_at";

/**
 * What was agreed to covers what is asked for, in JSON. Of what was agreed to for no host, as at a device, nothing is kept
 * beside what stands for one (`addConsent`): then it stands as long as that.
 */
function covers(consent: Row | undefined, host: string | null, asked: string | null): boolean {
  if (consent === undefined) return false;
  if (consent.host !== host) return host === "";
  const agreed = JSON.parse(String(consent.scope)) as string[];
  return (JSON.parse(asked ?? "[]") as string[]).every((one) => agreed.includes(one));
}

/**
 * Everything that has to be known of an answer later: its request is used, its session does not lie idle, what it leads
 * to ends with that. Whoever ends the session or takes the consent back has done so before, or finds what this led to; of what
 * was taken back and agreed to anew, that alone counts which stands now.
 */
export const answerStatement: HotStatement<Answering, Answered> = {
  name: "answer_request",
  source: hotSource(import.meta.url),
  mode: { kind: "spending" },
  key: ({ account_id, session_id }) => `${account_id} ${session_id}`,
  sqlite(db, { account_id, session_id, now, idle_expires_at, request_id, sid, client_id, ...consent }) {
    if (request_id !== null && !db.one(OPEN, account_id, request_id, now)) return "given_before";
    const session = db.one(SESSION, account_id, session_id, now);
    if (!session) return "session_ended";
    const { user_id, expires_at } = session as { user_id: string; expires_at: Instant };
    const { consent_audience: audience, consent_host: host, consent_scope: asked } = consent;
    if (audience !== null && !covers(db.one(CONSENT, account_id, user_id, client_id, audience), host, asked))
      return "consent_withdrawn";
    if (sid !== null && db.one(FULL, account_id, session_id)) return "session_full";
    const name = [account_id, session_id] as const;
    db.run("update sessions set idle_expires_at = ?3 where account_id = ?1 and id = ?2", ...name, idle_expires_at);
    if (request_id !== null)
      db.run(
        "update authorization_requests set used_at = ?3 where account_id = ?1 and id = ?2",
        account_id,
        request_id,
        now,
      );
    if (sid !== null)
      db.run(
        `insert into session_authorizations (${authorization_columns}) values (?1, ?2, ?3, ?4, ?5, ?6)`,
        ...name,
        sid,
        client_id,
        now,
        expires_at,
      );
    return "given";
  },
  postgres: {
    // Each lock by key, as everybody takes them who takes several; of two sessions that answer one request one is given it.
    text: `with ${form.input},
      locked as materialized (
        select i.n, i.account_id, i.request_id, held.request
        from (select * from input order by account_id, request_id) i
          cross join lateral (
            select r as request ${rowOf(
              "authorization_requests r",
              { account_id: "i.account_id", id: "i.request_id" },
              "r.used_at is null and r.expires_at > i.now",
            )}
            for update of r
          ) held
      ),
      kept as (
        select distinct on (account_id, request_id) n, request from locked order by account_id, request_id, n
      ),
      open as materialized (
        select i.*, k.request from input i left join kept k on k.n = i.n where i.request_id is null or k.n is not null
      ),
      live as materialized (
        select o.*, held.session, held.user_id, held.expires_at
        from (select * from open order by account_id, session_id) o
          cross join lateral (
            select s as session, s.user_id, s.expires_at ${rowOf(
              "sessions s",
              { account_id: "o.account_id", id: "o.session_id" },
              `s.ended_at is null and s.idle_expires_at > o.now and ${sessionLives("s")}`,
            )}
            for update of s
          ) held
      ),
      agreed as materialized (
        select l.n from (select * from live order by account_id, user_id, client_id, consent_audience) l
          cross join lateral (
            select ${rowOf(
              "consents c",
              {
                account_id: "l.account_id",
                user_id: "l.user_id",
                client_id: "l.client_id",
                audience: "l.consent_audience",
              },
              `case when c.host = l.consent_host then c.scope::jsonb @> l.consent_scope::jsonb
                else l.consent_host = '' end`,
            )}
            for share of c
          ) held
      ),
      standing as materialized (
        select l.* from live l where l.consent_audience is null or exists (select from agreed a where a.n = l.n)
      ),
      given as materialized (
        select s.* from standing s where s.sid is null or not exists (${full("s.account_id", "s.session_id")})
      ),
      used as (
        ${rewrite("authorization_requests", "(g.request)", "given g where g.request_id is not null", { used_at: "g.now" })}
      ),
      touched as (
        ${rewrite("sessions", "(g.session)", "given g", { idle_expires_at: "g.idle_expires_at" })}
      ),
      noted as (
        insert into session_authorizations (${authorization_columns})
        select account_id, session_id, sid, client_id, now, expires_at from given where sid is not null
      )
      select o.n is not null as open, l.n is not null as live, s.n is not null as standing, g.n is not null as given
      from input i left join open o on o.n = i.n left join live l on l.n = i.n
        left join standing s on s.n = i.n left join given g on g.n = i.n
      order by i.n`,
    parameters: form.parameters,
    answers: (rows) =>
      rows.map(({ open, live, standing, given }) => {
        if (given) return "given";
        if (standing) return "session_full";
        if (live) return "consent_withdrawn";
        return open ? "session_ended" : "given_before";
      }),
  },
};

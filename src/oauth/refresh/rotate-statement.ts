import { secretLives } from "../../directory/clients/secret-lives.ts";
import type { User } from "../../directory/users/user.ts";
import { rewrite, rowOf } from "../../storage/by-key.ts";
import { hotSource } from "../../storage/hot-sources.ts";
import { setForm } from "../../storage/set-form.ts";
import type { HotStatement, Instant, Row } from "../../storage/storage.ts";
import type { Login } from "./family.ts";
import { familyLives } from "./family-lives.ts";
import { decodeLogin, holder, LOGIN } from "./store.ts";

export interface Rotation {
  readonly account_id: string;
  readonly id: string;
  /** Who shows the token; its uuid. */
  readonly client_id: string;
  /** The secret that the client showed; empty where it showed none. */
  readonly secret_id: string;
  /** "1" where it may use tokens of other clients' logins. */
  readonly of_others: "1" | "";
  readonly dpop_jkt: string | null;
  /** The key that the next token is bound to, where the one that is shown is bound to none. */
  readonly bind_jkt: string | null;
  /** Of the token that is shown. */
  readonly generation: number;
  /** To the next: 1, or 0 where the same one goes on. */
  readonly generations: number;
  /** In hexadecimal, as is the next. */
  readonly digest: string;
  readonly next_digest: string;
  readonly next_key_version: string;
  readonly now: Instant;
  readonly idle_expires_at: Instant;
}

/** Whose login it is, as committed. */
export type Person = Pick<
  User,
  "id" | "type" | "email" | "email_verified_at" | "name" | "phone_number" | "second_factor"
>;

export interface Continued {
  readonly login: Login;
  readonly person: Person;
}

const PERSON = "type, email, email_verified_at, name, phone_number, second_factor";

const form = setForm(
  [
    ...(["account_id", "id", "client_id", "secret_id", "of_others", "dpop_jkt", "bind_jkt"] as const),
    ...(["generation", "generations", "digest", "next_digest", "next_key_version", "now", "idle_expires_at"] as const),
  ],
  ["generation", "generations"],
);
type Named = typeof form.field;

/** The token is the login's newest, and everybody concerned lives; `input` says how a body names what it was asked. */
const mayRotate = (f: string, input: Named, bytes: (text: string) => string) =>
  `${holder(f)} = ${input("client_id")} and (${f}.holder_id is null or ${input("of_others")} = '1')
    and ${f}.generation = ${input("generation")}
    and ${f}.digest = ${bytes(input("digest"))} and ${f}.revoked_at is null
    and ${f}.idle_expires_at > ${input("now")} and ${f}.expires_at > ${input("now")}
    and (${f}.dpop_jkt is null or ${f}.dpop_jkt = ${input("dpop_jkt")}) and ${familyLives(f)}
    and ${secretLives(input("account_id"), input("client_id"), input("secret_id"), input("now"))}`;

const next = (f: string, input: Named, bytes: (text: string) => string, rotated_at: string) => ({
  generation: `${input("generation")} + ${input("generations")}`,
  digest: bytes(input("next_digest")),
  key_version: input("next_key_version"),
  rotated_at,
  // Whoever shows the same one again has had its answer.
  grace_used: `1 - ${input("generations")}`,
  idle_expires_at: input("idle_expires_at"),
  dpop_jkt: `coalesce(${f}.dpop_jkt, ${input("bind_jkt")})`,
});

const { place, field } = form;
const unhex = (text: string) => `unhex(${text})`;
const SQLITE_NEXT = Object.entries(next("f", place, unhex, place("now"))).map(
  ([column, value]) => `${column} = ${value}`,
);
const SQLITE_ROTATE = `update refresh_families as f set ${SQLITE_NEXT.join(", ")}
  where f.account_id = ${place("account_id")} and f.id = ${place("id")} and ${mayRotate("f", place, unhex)}
  returning ${LOGIN}`;
const SQLITE_PERSON = `select ${PERSON} from live_users where account_id = ?1 and id = ?2`;

const of = (table: string, names: string) => names.replaceAll(/\b(\w+)/g, `${table}.$1`);
const decoded = (text: string) => `decode(${text}, 'hex')`;
/**
 * When it is carried out: a database that stood still does so long after whoever asked was told to ask again, and from
 * then on an answer may be lost.
 */
const POSTGRES_AT = `greatest(i.now, to_char(clock_timestamp() at time zone 'UTC', 'YYYY-MM-DD"T"HH24:MI:SS.MS"Z"'))`;

/** Spends a refresh token: of any number of parallel uses exactly one goes on; all, where the same one is the next. */
export const rotateStatement: HotStatement<Rotation, Continued | null> = {
  name: "rotate_refresh_token",
  source: hotSource(import.meta.url),
  mode: { kind: "spending" },
  key: ({ account_id, id }) => `${account_id} ${id}`,
  sqlite(db, input) {
    const row = db.one(SQLITE_ROTATE, ...form.values(input));
    return row ? continued(row, db.one(SQLITE_PERSON, input.account_id, String(row.user_id)) ?? {}) : null;
  },
  postgres: {
    text: `with ${form.input},
      -- By key, as everybody locks them who takes several.
      locked as materialized (
        select i.*, held.family from (select * from input order by account_id, id) i
          cross join lateral (
            select f as family
            ${rowOf("refresh_families f", { account_id: "i.account_id", id: "i.id" }, mayRotate("f", field, decoded))}
            for update of f
          ) as held
      ),
      rotated as (
        ${rewrite("refresh_families", "(i.family)", "locked i", next("(i.family)", field, decoded, POSTGRES_AT))}
        returning account_id, ${LOGIN}
      )
      select ${of("r", LOGIN)}, ${of("u", PERSON)}
      from input i
        left join rotated r on r.account_id = i.account_id and r.id = i.id
        left join lateral (
          select ${of("u", PERSON)} ${rowOf("live_users u", { account_id: "r.account_id", id: "r.user_id" })}
        ) u on true
      order by i.n`,
    parameters: form.parameters,
    answers: (rows) => rows.map((row) => (row.id === null ? null : continued(row, row))),
  },
};

const continued = (row: Row, person: Row): Continued => ({
  login: decodeLogin(row),
  person: {
    id: String(row.user_id),
    type: person.type as Person["type"],
    email: person.email as string | null,
    email_verified_at: person.email_verified_at as Instant | null,
    name: person.name as string | null,
    phone_number: person.phone_number as string | null,
    second_factor: Number(person.second_factor),
  },
});

/** A login of a person, as a token tells of it. */
export interface Login {
  /** The person's uuid; a client's is nobody's here. */
  readonly subject: string;
  readonly sid: string;
  /** Milliseconds since the epoch. */
  readonly began_at: number;
}

interface Ended {
  readonly before: number;
  readonly expires_at: number;
}

/** People whose logins ended together: all that began before an instant, but the one that goes on. */
export class EndedLogins {
  /**
   * By account and person, those first that were noted first, then by the `sid` that goes on. The later of two with
   * the same one ends what the earlier did.
   */
  readonly #ended = new Map<string, Map<string, Ended>>();

  get size(): number {
    return this.#ended.size;
  }

  /** Both times are milliseconds since the epoch. @returns false for a revocation of another kind. */
  note(account_id: string, subject: string, { before, expires_at }: Ended): boolean {
    const [, user_id, except] = /^logins:(\S+) (.*)$/.exec(subject) ?? [];
    if (user_id === undefined || except === undefined) return false;
    const key = `${account_id} ${user_id}`;
    const ended = this.#ended.get(key) ?? new Map<string, Ended>();
    if ((ended.get(except)?.before ?? 0) >= before) return true;
    this.#ended.delete(key);
    this.#ended.set(key, ended.set(except, { before, expires_at }));
    return true;
  }

  has(account_id: string, { subject, sid, began_at }: Login): boolean {
    const ended = this.#ended.get(`${account_id} ${subject}`);
    if (!ended) return false;
    for (const [except, { before }] of ended) if (began_at < before && sid !== except) return true;
    return false;
  }

  forget(now: number): void {
    for (const [key, ended] of this.#ended) {
      for (const [except, { expires_at }] of ended) if (expires_at < now) ended.delete(except);
      if (ended.size > 0) return;
      this.#ended.delete(key);
    }
  }
}

/** As a revocation names them. */
export const endedLogins = (user_id: string, except: string) => `logins:${user_id} ${except}`;

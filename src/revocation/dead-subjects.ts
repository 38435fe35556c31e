/** What was revoked by name, until no token can name it any more. */
export class DeadSubjects {
  /** Until when each is remembered, in milliseconds since the epoch; those first that were noted first. */
  readonly #dead = new Map<string, number>();

  /** What was revoked and revoked again may be noted in any order: the later one stays. */
  note(account_id: string, subject: string, expires_at: number): void {
    const key = keyOf(account_id, subject);
    if ((this.#dead.get(key) ?? 0) >= expires_at) return;
    this.#dead.delete(key);
    this.#dead.set(key, expires_at);
  }

  /** @returns the first of them that is dead. */
  find(account_id: string, subjects: readonly string[]): string | undefined {
    if (this.#dead.size === 0) return undefined;
    return subjects.find((subject) => this.#dead.has(keyOf(account_id, subject)));
  }

  /** From the front: what was noted before another and expires after it may keep that one for as long. */
  forget(now: number): void {
    for (const [key, expires_at] of this.#dead) {
      if (expires_at >= now) return;
      this.#dead.delete(key);
    }
  }
}

const keyOf = (account_id: string, subject: string) => `${account_id} ${subject}`;

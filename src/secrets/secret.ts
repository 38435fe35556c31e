/**
 * A secret is a value that cannot be printed, serialised or logged by accident: a verification code, a token, a client
 * secret, a key. Turning one into text takes a call to `reveal`, so every place where a secret leaves is one search away.
 *
 * In: text or bytes that were just made or just received. Out: the same, only through `reveal`.
 */
import { inspect } from "node:util";

const REDACTED = "[secret]";

export class Secret {
  readonly #value: string;

  constructor(value: string) {
    this.#value = value;
    Object.freeze(this);
  }

  static reveal(secret: Secret): string {
    return secret.#value;
  }

  toString(): string {
    return REDACTED;
  }

  toJSON(): string {
    return REDACTED;
  }

  [Symbol.toPrimitive](): string {
    return REDACTED;
  }

  [inspect.custom](): string {
    return REDACTED;
  }
}

export function secret(value: string): Secret {
  return new Secret(value);
}

/** What is left out stays so. */
export function optionalSecret(value: string | undefined): Secret | undefined {
  return value === undefined ? undefined : secret(value);
}

export function reveal(value: Secret): string {
  return Secret.reveal(value);
}

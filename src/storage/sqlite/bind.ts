import { refuseText } from "../refuse-text.ts";

type SqliteValue = string | bigint | number | Buffer | null;

/**
 * The one door for values into SQLite's driver, which aborts the process on a boolean, cuts text at U+0000 and stores every
 * JavaScript number as REAL.
 *
 * @throws TypeError for anything that both engines cannot hold; 400 invalid_request for text with U+0000, which somebody sent.
 */
function bindValue(value: unknown): SqliteValue {
  switch (typeof value) {
    case "string":
      if (value.includes("\0")) throw refuseText();
      return value;
    case "number":
      if (!Number.isSafeInteger(value)) throw new TypeError("only safe integers can be stored");
      return BigInt(value);
    case "bigint":
      return value;
    case "boolean":
      return value ? 1n : 0n;
    default:
      if (value === null) return null;
      if (value instanceof Uint8Array) return Buffer.from(value.buffer, value.byteOffset, value.byteLength);
      throw new TypeError(`a value of type ${value === undefined ? "undefined" : typeof value} cannot be stored`);
  }
}

export function bindAll(values: readonly unknown[]): SqliteValue[] {
  return values.map(bindValue);
}

/** The driver hands bytes out as ArrayBuffer; everywhere else bytes are a Uint8Array. */
export function readValue(value: unknown): unknown {
  return value instanceof ArrayBuffer ? new Uint8Array(value) : value;
}

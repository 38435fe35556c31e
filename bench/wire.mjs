/**
 * One connection that carries one HTTP/1.1 request at a time and understands as little of the answer as it can: where
 * it ends. Whoever measures shares the machine with the server, so this costs a few microseconds an answer, and the
 * same for each.
 */
import { connect } from "node:net";

const HEAD_END = Buffer.from("\r\n\r\n");
const LENGTHS = [Buffer.from("content-length: "), Buffer.from("Content-Length: ")];
const LAST_CHUNK = Buffer.from("0\r\n\r\n");
const ROOM = 64 * 1024;

/**
 * `answered(bytes)` gets the whole answer; the bytes are overwritten by the next one. `failed(error)` is called once,
 * also when the server hangs up while it owes an answer; `closed()` when it hangs up and owes none. Resolves when the
 * connection stands.
 */
export function openWire(port, { answered, failed, closed = () => {} }) {
  return new Promise((resolve, reject) => {
    let waiting = false;
    let pieces;
    const received = (size, buffer) => {
      const bytes = pieces ? Buffer.concat([pieces, buffer.subarray(0, size)]) : buffer.subarray(0, size);
      const end = answerEnd(bytes);
      if (end < 0) {
        pieces = pieces ? bytes : Buffer.from(bytes);
        return true;
      }
      pieces = undefined;
      waiting = false;
      answered(bytes.subarray(0, end));
      return true;
    };
    const socket = connect({
      port,
      host: "127.0.0.1",
      noDelay: true,
      onread: { buffer: Buffer.allocUnsafe(ROOM), callback: received },
    });
    socket.once("error", (error) => {
      waiting = false;
      reject(error);
      failed(error);
    });
    socket.once("close", () => {
      if (waiting) failed(new Error(`port ${port} hung up without an answer`));
      else closed();
    });
    const send = (bytes) => {
      waiting = true;
      socket.write(bytes);
    };
    socket.once("connect", () => resolve({ send, close: () => socket.destroy() }));
  });
}

/** Where the first answer ends; -1 while it is not there in full. */
export function answerEnd(bytes) {
  const head = bytes.indexOf(HEAD_END);
  if (head < 0) return -1;
  const length = contentLength(bytes, head);
  if (length >= 0) return bytes.length >= head + 4 + length ? head + 4 + length : -1;
  const status = statusOf(bytes);
  if (status === 204 || status === 304) return head + 4;
  return bytes.length >= head + 9 && bytes.subarray(-5).equals(LAST_CHUNK) ? bytes.length : -1;
}

function contentLength(bytes, head) {
  for (const name of LENGTHS) {
    const at = bytes.indexOf(name);
    if (at < 0 || at > head) continue;
    let length = 0;
    for (let digit = at + name.length; bytes[digit] !== 13; digit++) length = length * 10 + bytes[digit] - 48;
    return length;
  }
  return -1;
}

/** Of `HTTP/1.1 302 Found`. */
export function statusOf(bytes) {
  return (bytes[9] - 48) * 100 + (bytes[10] - 48) * 10 + bytes[11] - 48;
}

/** What stands between two texts, or undefined. */
export function between(bytes, before, after) {
  const at = bytes.indexOf(before);
  if (at < 0) return undefined;
  const from = at + before.length;
  return bytes.latin1Slice(from, bytes.indexOf(after, from));
}

/** Connections to one server for requests that depend on each other's answers; who finds none free waits for one. */
import { between, openWire, statusOf } from "./wire.mjs";

/** `ask(request, before, after)` resolves to the status and what stands between these texts in the answer. */
export async function openPool(port, connections) {
  const idle = [];
  const waiting = [];
  let open = true;

  async function connect() {
    const line = { call: undefined };
    const settle = () => {
      const { call } = line;
      line.call = undefined;
      return call;
    };
    const gone = () => {
      const at = idle.indexOf(line);
      if (at >= 0) idle.splice(at, 1);
      // Servers hang up on who is silent for long; the next request must not find that out.
      if (open) connect().catch(() => {});
    };
    const wire = await openWire(port, {
      answered(bytes) {
        const { resolve, before, after } = settle();
        const status = statusOf(bytes);
        const value = before === undefined ? undefined : between(bytes, before, after);
        resolve({ status, value, text: status >= 400 ? bytes.latin1Slice(-300) : "" });
        free(line);
      },
      failed(error) {
        settle()?.reject(error);
        gone();
      },
      closed: gone,
    });
    Object.assign(line, wire);
    free(line);
  }

  function free(line) {
    const next = waiting.shift();
    if (next) carry(line, next);
    else idle.push(line);
  }

  function carry(line, call) {
    line.call = call;
    line.send(call.request);
  }

  await Promise.all(Array.from({ length: connections }, connect));
  return {
    ask: (request, before, after) =>
      new Promise((resolve, reject) => {
        const call = { request, before, after, resolve, reject };
        // The one that has been silent the longest, so that none is silent for long.
        const line = idle.shift();
        if (line) carry(line, call);
        else waiting.push(call);
      }),
    close() {
      open = false;
      for (const line of idle.splice(0)) line.close();
    },
  };
}

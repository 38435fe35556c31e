/** A wire between two processes that can be cut, slowed down, held still, or led elsewhere. */
import { createServer, connect as dial, type Socket } from "node:net";
import { freePort } from "../../scripts/postgres.mjs";

export interface Wire {
  readonly port: number;
  /** Where new connections go; the next of them in turn. */
  targets: number[];
  /** Milliseconds that every chunk waits, either way. */
  delay: number;
  /** Chunks wait until this is false again. */
  frozen: boolean;
  /** Connections that are open now carry nothing more, and nobody is told, as behind a firewall that lost its memory. */
  forget(): void;
  /** Ends all connections, and refuses new ones until it is mended. */
  cut(): void;
  mend(): void;
  close(): Promise<void>;
}

export async function openWire(...targets: number[]): Promise<Wire> {
  const port = await freePort();
  const sockets = new Set<Socket>();
  const forgotten = new WeakSet<Socket>();
  let broken = false;
  let turn = 0;

  function forward(from: Socket, to: Socket): void {
    let queue = Promise.resolve();
    from.on("data", (chunk) => {
      queue = queue.then(async () => {
        if (wire.delay > 0) await pause(wire.delay);
        while (wire.frozen && !to.destroyed) await pause(10);
        if (!to.destroyed && !forgotten.has(to)) to.write(chunk);
      });
    });
    const over = () => void queue.then(() => to.destroy());
    from.on("close", over).on("error", over);
  }

  const server = createServer((socket) => {
    const target = wire.targets[turn++ % Math.max(1, wire.targets.length)];
    if (broken || target === undefined) return void socket.destroy();
    const other = dial({ port: target, host: "127.0.0.1", noDelay: true });
    for (const end of [socket, other]) {
      sockets.add(end);
      end.on("close", () => sockets.delete(end));
    }
    forward(socket, other);
    forward(other, socket);
  });
  await new Promise<void>((resolve) => server.listen(port, "127.0.0.1", resolve));

  const wire: Wire = {
    port,
    targets,
    delay: 0,
    frozen: false,
    forget() {
      for (const socket of sockets) forgotten.add(socket);
    },
    cut() {
      broken = true;
      for (const socket of sockets) socket.destroy();
    },
    mend() {
      broken = false;
    },
    close: () =>
      new Promise((resolve) => {
        server.close(() => resolve());
        for (const socket of sockets) socket.destroy();
      }),
  };
  return wire;
}

export const pause = (milliseconds: number) => new Promise<void>((resolve) => setTimeout(resolve, milliseconds));

import type { FastifyInstance } from "fastify";

declare module "fastify" {
  interface FastifyRequest {
    /** The turn of the event loop in which it came; -1 where no hook saw it. */
    turn: number;
  }
}

/**
 * Answers that are ready in the turn of the event loop in which their requests came leave together at its end. Whoever
 * reads them is then awake for all of them: to wake somebody takes the kernel longer than to send. What had to wait for
 * the store leaves at once.
 */
export function gatherAnswers(app: FastifyInstance): void {
  const ready: ((error?: Error) => void)[] = [];
  let turn = 0;
  let ending = false;

  function endTurn(): void {
    ending = false;
    turn += 1;
    for (const send of ready.splice(0)) attempt(send);
  }

  app.decorateRequest("turn", -1);
  app.addHook("onRequest", (request, _reply, done) => {
    request.turn = turn;
    if (!ending) setImmediate(endTurn);
    ending = true;
    done();
  });
  app.addHook("onSend", (request, _reply, _payload, done) => {
    if (request.turn === turn) ready.push(done);
    else done();
  });
}

/** An answer that cannot be sent, such as one whose header Node refuses, is its own request's failure and nobody else's. */
function attempt(send: (error?: Error) => void): void {
  try {
    send();
  } catch (error) {
    send(error as Error);
  }
}

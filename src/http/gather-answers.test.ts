import fastify from "fastify";
import { describe, expect, it } from "vitest";
import { gatherAnswers } from "./gather-answers.ts";

/** What happens at a server while three people ask at once, in order. `wait`: before each is answered. */
async function happens(wait: () => Promise<void> | undefined): Promise<readonly string[]> {
  const events: string[] = [];
  const app = fastify();
  gatherAnswers(app);
  app.addHook("onRequest", (_request, _reply, done) => {
    events.push("asked");
    done();
  });
  app.addHook("onResponse", (_request, _reply, done) => {
    events.push("answered");
    done();
  });
  app.get("/", async () => {
    await wait();
    events.push("ready");
    afterTicks(100, () => events.push("rest of the turn"));
    setImmediate(() => events.push("next turn"));
    return "";
  });
  await app.ready();
  const answers = await Promise.all(["/", "/", "/"].map((url) => app.inject(url)));
  expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 200, 200]);
  await new Promise((resolve) => setImmediate(resolve));
  return events;
}

function afterTicks(ticks: number, call: () => void): void {
  process.nextTick(() => (ticks === 0 ? call() : afterTicks(ticks - 1, call)));
}

const three = (event: string) => [event, event, event];

describe("answers", () => {
  it("that are ready in the turn in which they were asked for leave together at its end", async () => {
    const events = (await happens(() => undefined)).filter((event) => event !== "asked");
    expect(events).toEqual(["ready", "rest of the turn", "answered", "next turn"].flatMap(three));
  });

  it("that cannot be sent are nobody else's failure", async () => {
    const app = fastify();
    gatherAnswers(app);
    app.get("/good", async () => "good");
    app.get("/bad", async (_request, reply) => reply.redirect("/日", 303));
    const answers = await Promise.all(["/good", "/bad", "/good"].map((url) => app.inject(url)));
    expect(answers.map(({ statusCode }) => statusCode)).toEqual([200, 500, 200]);
  });

  it("that had to wait leave as soon as they are ready", async () => {
    const events = await happens(() => new Promise((resolve) => setImmediate(resolve)));
    expect(events.filter((event) => event !== "rest of the turn").slice(0, 6)).toEqual([
      ...three("asked"),
      ...["ready", "answered", "ready"],
    ]);
  });
});

import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import type { Storage } from "../storage/storage.ts";
import { attemptDelivery } from "./attempt.ts";
import { enqueue, type OutboxRow, undeliverable } from "./outbox.ts";

describeOnBothEngines("the note of an attempt", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  beforeAll(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
  });
  afterAll(() => test.close());

  /** What the log says of one attempt that ends so, where the answer to the first commit is lost. */
  async function attempt(send: () => Promise<void>, claimed_by = "me") {
    const message = { account_id: "P11223344", kind: "note", channel: "mail", destination: "", inbox: null } as const;
    const life = { payload: {}, expires_at: storage.now() + 600_000 };
    const id = await storage.write((tx) => enqueue(tx, { ...message, ...life }, storage.now()));
    await storage.write(({ db }) =>
      db.updateTable("outbox").set({ claimed_by, attempts: 1 }).where("id", "=", id).execute(),
    );
    const row = await storage.read.selectFrom("outbox").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
    let commits = 0;
    const write: Storage["write"] = async (work) => {
      const done = await storage.write(work);
      commits += 1;
      if (commits === 1) throw new Error("the connection is gone");
      return done;
    };
    const said: string[] = [];
    const say = (_fields: object, text: string) => void said.push(text);
    let failures = 0;
    await attemptDelivery(
      {
        storage: Object.create(storage, { write: { value: write } }),
        kinds: { note: { render: async () => undefined, send } },
        log: { info: say, warn: say, error: say },
        now: () => storage.now(),
        random: () => 0.5,
        claimed_by: "me",
        send_timeout: 5_000,
        over: new AbortController().signal,
        recordFailure: async () => {
          failures += 1;
        },
      },
      row as unknown as OutboxRow,
    );
    return [...said, failures];
  }

  it("says how it ended where it was written and only the answer to that was lost", async () => {
    expect(await attempt(async () => {})).toEqual(["message sent", 0]);
    const failing = (error: Error) => () => Promise.reject(error);
    expect(await attempt(failing(new Error("busy")))).toEqual(["message not sent; will try again", 0]);
    expect(await attempt(failing(undeliverable("no such mailbox")))).toEqual(["message undeliverable", 1]);
  });

  it("says that another process has taken over where one has", async () => {
    expect(await attempt(async () => {}, "another")).toEqual(["message taken over by another process", 0]);
  });
});

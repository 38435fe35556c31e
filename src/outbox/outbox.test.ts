import { afterEach, beforeEach, describe, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { refuse } from "../errors.ts";
import { openStorage } from "../storage/open.ts";
import { instant, type Storage } from "../storage/storage.ts";
import type { OutboxKind } from "./attempt.ts";
import { countOutbox, outboxSweep } from "./counts.ts";
import { listInbox } from "./inbox.ts";
import { enqueue, type OutboxMessage, type OutboxRow, undeliverable } from "./outbox.ts";
import { retryDelay } from "./retry.ts";
import { beginning, countPendingBefore, selectDueQueues } from "./store.ts";
import { type OutboxOptions, type RunningOutbox, startOutbox } from "./worker.ts";

const account_id = "P11223344";
const anybody = { claimed_by: "", takes_over: true };
const quiet = { info() {}, warn() {}, error() {} };

function message(storage: Storage, fields: Partial<OutboxMessage> = {}): OutboxMessage {
  const about = { kind: "note", channel: "mail", destination: "", inbox: null, payload: { n: 1 } } as const;
  return { account_id, ...about, expires_at: storage.now() + 600_000, ...fields };
}

const slotsOf = (all: number, each = all) => ({ mail: { all, each }, sms: { all, each }, http: { all, each } });

function put(storage: Storage, fields: Partial<OutboxMessage> = {}): Promise<string> {
  return storage.write((tx) => enqueue(tx, message(storage, fields), storage.now()));
}

async function stateOf(storage: Storage, id: string) {
  const row = await storage.read.selectFrom("outbox").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
  return { state: row.state, attempts: row.attempts, last_error: row.last_error, finished: row.finished_at !== null };
}

const pending = (storage: Storage) => countPendingBefore(storage.read, instant(storage.now() + 86_400_000));

async function until(check: () => boolean | Promise<boolean>): Promise<void> {
  while (!(await check())) await new Promise((resolve) => setTimeout(resolve, 10));
}

describe("retryDelay", () => {
  it("doubles from about 1 s to about 5 min and stays within both", () => {
    const day = 86_400_000;
    expect(retryDelay(1, day, () => 0.5)).toBe(1_000);
    expect(retryDelay(5, day, () => 0.5)).toBe(16_000);
    expect(retryDelay(1, day, () => 0)).toBe(1_000);
    expect(retryDelay(60, day, () => 1)).toBe(300_000);
  });

  it("never sleeps through what is left of the message's life", () => {
    expect(retryDelay(12, 60_000, () => 0.5)).toBe(15_000);
    expect(retryDelay(12, 100, () => 0.5)).toBe(1_000);
  });
});

describeOnBothEngines("outbox", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  const running: RunningOutbox[] = [];
  const failures: { row: OutboxRow; reason: string }[] = [];

  beforeEach(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
    failures.length = 0;
  });

  afterEach(async () => {
    for (const outbox of running.splice(0)) await outbox.stop();
    await test.close();
  });

  function start(
    send: OutboxKind<OutboxRow>["send"],
    options: Partial<OutboxOptions> = {},
    on = storage,
  ): RunningOutbox {
    const kinds = { note: { render: async (row: OutboxRow) => row, send } };
    const outbox = startOutbox(on, kinds, {
      log: quiet,
      poll: 50,
      recordFailure: async (_tx, row, reason) => {
        failures.push({ row, reason });
      },
      ...options,
    });
    running.push(outbox);
    return outbox;
  }

  /** The same database, which nobody reaches while it `isAway`. */
  function unreachable(isAway: () => boolean): Storage {
    const reach = () => {
      if (isAway()) throw refuse("temporarily_unavailable");
      return storage;
    };
    const write: Storage["write"] = (work) => reach().write(work);
    return Object.create(storage, { read: { get: () => reach().read }, write: { value: write } }) as Storage;
  }

  it("sends what was enqueued, once, with its payload", async () => {
    const sent: OutboxRow[] = [];
    start(async (row) => void sent.push(row));
    const id = await put(storage, { payload: { greeting: "hei på deg" } });
    await until(async () => (await stateOf(storage, id)).state === "sent");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent.map((row) => [row.id, row.payload])).toEqual([[id, { greeting: "hei på deg" }]]);
    expect(await stateOf(storage, id)).toEqual({ state: "sent", attempts: 1, last_error: null, finished: true });
  });

  it("sends nothing of a transaction that was rolled back", async () => {
    const sent: OutboxRow[] = [];
    start(async (row) => void sent.push(row));
    await expect(
      storage.write(async (tx) => {
        await enqueue(tx, message(storage), storage.now());
        throw new Error("changed my mind");
      }),
    ).rejects.toThrow("changed my mind");
    const id = await put(storage);
    await until(async () => (await stateOf(storage, id)).state === "sent");
    expect(sent).toHaveLength(1);
  });

  it("wakes at a nudge instead of waiting for its next look", async () => {
    const outbox = start(async () => {}, { poll: 3_600_000 });
    await new Promise((resolve) => setTimeout(resolve, 200));
    const id = await put(storage);
    outbox.nudge();
    await until(async () => (await stateOf(storage, id)).state === "sent");
  });

  it("never picks up what is for the sandbox or for nobody", async () => {
    const sent: OutboxRow[] = [];
    start(async (row) => void sent.push(row));
    const sandbox = await put(storage, { channel: "sandbox", inbox: "ada@example.com" });
    const none = await put(storage, { channel: "none" });
    const mail = await put(storage);
    await until(async () => (await stateOf(storage, mail)).state === "sent");
    await new Promise((resolve) => setTimeout(resolve, 200));
    expect(sent.map((row) => row.id)).toEqual([mail]);
    expect((await stateOf(storage, sandbox)).state).toBe("withheld");
    expect((await stateOf(storage, none)).state).toBe("withheld");
  });

  it("tries again after a failure and then tells no error", async () => {
    let calls = 0;
    start(async () => {
      calls++;
      if (calls === 1) throw new Error("mail server is down");
    });
    const id = await put(storage);
    await until(async () => (await stateOf(storage, id)).last_error === "mail server is down");
    expect((await stateOf(storage, id)).state).toBe("pending");
    await until(async () => (await stateOf(storage, id)).state === "sent");
    expect(await stateOf(storage, id)).toEqual({ state: "sent", attempts: 2, last_error: null, finished: true });
    expect(failures).toEqual([]);
  });

  it("gives up at expiry and says why the last attempt failed", async () => {
    start(async () => {
      throw new Error("mail server is down");
    });
    const id = await put(storage, { expires_at: storage.now() + 1_500 });
    await until(async () => (await stateOf(storage, id)).state === "failed");
    expect(failures.map(({ row, reason }) => [row.id, reason])).toEqual([[id, "expired; last: mail server is down"]]);
  });

  it("gives up at once when no retry would help", async () => {
    start(async () => {
      throw undeliverable("no such mailbox");
    });
    const id = await put(storage);
    await until(async () => (await stateOf(storage, id)).state === "failed");
    expect(await stateOf(storage, id)).toMatchObject({ attempts: 1, last_error: "no such mailbox" });
    expect(failures).toHaveLength(1);
    expect(await countOutbox(storage)).toEqual({ late: 0, undeliverable: 1 });
    expect(await pending(storage)).toBe(0);
  });

  it("leaves a kind it does not know to a process that does", async () => {
    start(async () => {});
    const id = await put(storage, { kind: "of_the_next_version" });
    await until(async () => (await stateOf(storage, id)).last_error === "unknown kind of_the_next_version");
    expect((await stateOf(storage, id)).state).toBe("pending");
  });

  it("keeps its claim on a message that takes longer than the lease", async () => {
    let calls = 0;
    const slow = async () => {
      calls++;
      await new Promise((resolve) => setTimeout(resolve, 3_500));
    };
    start(slow, { lease: 1_500 });
    start(slow, { lease: 1_500 });
    const id = await put(storage);
    await until(async () => (await stateOf(storage, id)).state === "sent");
    expect(calls).toBe(1);
  });

  it("sends once what it claims again while it is under way", async () => {
    let ahead = 0;
    let calls = 0;
    let release = () => {};
    const send = () => {
      calls++;
      return new Promise<void>((resolve) => (release = resolve));
    };
    start(send, { now: () => storage.now() + ahead });
    const id = await put(storage);
    await until(() => calls === 1);
    ahead = 60_000;
    await until(async () => (await stateOf(storage, id)).attempts === 2);
    await new Promise((resolve) => setTimeout(resolve, 100));
    expect(calls).toBe(1);
    release();
    await until(async () => (await stateOf(storage, id)).state === "sent");
  });

  it("sends once what the database, away meanwhile, hears of late", { timeout: 60_000 }, async () => {
    let calls = 0;
    let back = Number.POSITIVE_INFINITY;
    const away = unreachable(() => calls > 0 && performance.now() < back);
    const send = async () => {
      calls++;
      back = Math.min(back, performance.now() + 5_500);
    };
    // Whoever has not sent it looks at once when the database is back, before the one that did has told how that went.
    for (let n = 0; n < 3; n++) start(send, { lease: 3_000, poll: 10 }, away);
    const id = await put(storage);
    await until(async () => (await stateOf(storage, id)).state === "sent");
    expect(calls).toBe(1);
  });

  it("gives up an attempt that hangs and sends on the next", async () => {
    let calls = 0;
    let aborted = false;
    start(
      (_row, signal) => {
        signal.addEventListener("abort", () => {
          aborted = true;
        });
        calls++;
        return calls === 1 ? new Promise(() => {}) : Promise.resolve();
      },
      { send_timeout: 300 },
    );
    const id = await put(storage);
    await until(async () => (await stateOf(storage, id)).state === "sent");
    expect(calls).toBe(2);
    expect(aborted).toBe(true);
  });

  it("has never more under way than it was allowed", async () => {
    let now = 0;
    let most = 0;
    start(
      async () => {
        most = Math.max(most, ++now);
        await new Promise((resolve) => setTimeout(resolve, 30));
        now--;
      },
      { slots: slotsOf(3) },
    );
    const ids = await Promise.all(Array.from({ length: 20 }, () => put(storage)));
    await until(async () => (await pending(storage)) === 0);
    expect(most).toBe(3);
    expect(ids).toHaveLength(20);
  });

  it("lets no channel wait for another, and no destination for another", async () => {
    const sent: string[] = [];
    const held = new Map<string, number>();
    const put_to = (channel: "mail" | "sms" | "http", destination: string) => put(storage, { channel, destination });
    const hanging = ["http silent.example", "http silent.example:8443", "mail "];
    start(
      (row) => {
        const queue = `${row.channel} ${row.destination}`;
        if (!hanging.includes(queue)) return Promise.resolve(void sent.push(queue));
        held.set(queue, (held.get(queue) ?? 0) + 1);
        return new Promise(() => {});
      },
      { slots: slotsOf(5, 2), drain: 0 },
    );
    for (const destination of ["silent.example", "silent.example:8443"])
      for (let n = 0; n < 10; n++) await put_to("http", destination);
    for (let n = 0; n < 10; n++) await put_to("mail", "");
    await until(() => [...held.values()].toString() === "2,2,2");
    const last = [await put_to("http", "shop.example"), await put_to("http", "api.example"), await put_to("sms", "")];
    for (const id of last) await until(async () => (await stateOf(storage, id)).state === "sent");
    expect(sent.toSorted()).toEqual(["http api.example", "http shop.example", "sms "]);
    expect([...held.values()]).toEqual([2, 2, 2]);
  });

  it("names every queue in which something is due, and no other", async () => {
    const now = storage.now();
    await storage.write(async (tx) => {
      for (const destination of ["", "a.example", "b.example"])
        for (let n = 0; n < 3; n++)
          await enqueue(tx, message(storage, { channel: "http", destination, expires_at: now + 60_000 }), now + n);
      await enqueue(tx, message(storage, { channel: "sandbox", inbox: "ada@example.com" }), now);
      await enqueue(tx, message(storage, { channel: "sms" }), now + 60_000);
      await enqueue(tx, message(storage), now - 1);
    });
    const { due, next } = await selectDueQueues(storage.read, instant(now), beginning, anybody);
    expect(next).toEqual(beginning);
    expect(due.map(({ channel, destination, due_at }) => [channel, destination, due_at])).toEqual([
      ["mail", "", instant(now - 1)],
      ...["", "a.example", "b.example"].map((destination) => ["http", destination, instant(now)]),
    ]);
  });

  it("stops only when what is under way has been sent, and takes nothing new", async () => {
    let release = () => {};
    const outbox = start(() => new Promise((resolve) => (release = resolve)), { slots: slotsOf(1) });
    const first = await put(storage);
    await until(async () => (await stateOf(storage, first)).attempts === 1);
    const second = await put(storage);
    const stopped = outbox.stop();
    release();
    await stopped;
    expect((await stateOf(storage, first)).state).toBe("sent");
    expect((await stateOf(storage, second)).state).toBe("pending");
  });

  it("shows an inbox newest first, each account and recipient its own", async () => {
    const one = await put(storage, { channel: "sandbox", inbox: "ada@example.com" });
    await new Promise((resolve) => setTimeout(resolve, 5));
    const two = await put(storage, { channel: "sandbox", inbox: "ada@example.com" });
    const other = await put(storage, { channel: "sandbox", inbox: "bo@example.com" });
    await put(storage, { channel: "sandbox", inbox: "ada@example.com", account_id: "T99999999" });
    await put(storage, { channel: "none" });
    expect((await listInbox(storage, account_id, "ada@example.com", 10)).map((row) => row.id)).toEqual([two, one]);
    expect((await listInbox(storage, account_id, "ada@example.com", 1)).map((row) => row.id)).toEqual([two]);
    expect((await listInbox(storage, account_id, null, 10)).map((row) => row.id).sort()).toEqual(
      [one, two, other].sort(),
    );
  });

  it("sweeps what expired more than a day ago and keeps what still waits", async () => {
    const long_ago = storage.now() - 90_000_000;
    await put(storage, { channel: "sandbox", inbox: "ada@example.com", expires_at: long_ago });
    await put(storage, { expires_at: long_ago });
    await put(storage, { channel: "none" });
    expect(await outboxSweep.sweep(storage, 10)).toBe(1);
    expect(await outboxSweep.sweep(storage, 10)).toBe(0);
  });
});

describe("outbox on PostgreSQL, several processes", () => {
  it("delivers each of many messages exactly once", async () => {
    const test = await openTestStorage("postgres");
    const second = await openStorage({ database_url: test.database_url });
    const third = await openStorage({ database_url: test.database_url });
    const sent: string[] = [];
    const kinds = {
      note: { render: async (row: OutboxRow) => row, send: async (row: OutboxRow) => void sent.push(row.id) },
    };
    const options = { log: quiet, poll: 20, slots: slotsOf(7), recordFailure: async () => {} };
    const workers = [test.storage, second, third].map((storage) => startOutbox(storage, kinds, options));
    const ids = await Promise.all(Array.from({ length: 200 }, () => put(test.storage)));
    await until(async () => (await pending(test.storage)) === 0);
    for (const worker of workers) await worker.stop();
    expect([...sent].sort()).toEqual([...ids].sort());
    await second.close();
    await third.close();
    await test.close();
  });

  it("takes over a claim when it ran out, not before", async () => {
    const test = await openTestStorage("postgres");
    const dead = startOutbox(
      test.storage,
      { note: { render: async (row) => row, send: () => new Promise(() => {}) } },
      { log: quiet, poll: 20, lease: 1_500, drain: 0, recordFailure: async () => {} },
    );
    const id = await put(test.storage);
    await until(async () => (await stateOf(test.storage, id)).attempts === 1);
    await dead.stop();
    const claim = await test.storage.read.selectFrom("outbox").select("next_attempt_at").executeTakeFirstOrThrow();
    const sent_at: number[] = [];
    const send = async () => void sent_at.push(test.storage.now());
    const alive = startOutbox(
      test.storage,
      { note: { render: async (row) => row, send } },
      { log: quiet, poll: 20, lease: 1_500, recordFailure: async () => {} },
    );
    await until(async () => (await stateOf(test.storage, id)).state === "sent");
    expect(sent_at).toHaveLength(1);
    expect(sent_at[0]).toBeGreaterThanOrEqual(Date.parse(claim.next_attempt_at));
    await alive.stop();
    await test.close();
  });
});

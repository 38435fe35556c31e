import { sql } from "kysely";
import { afterEach, beforeEach, expect, it } from "vitest";
import { describeOnBothEngines, openTestStorage, type TestStorage } from "../../test/support/engines.ts";
import { until } from "../../test/support/smtp.ts";
import { instant, type Storage } from "../storage/storage.ts";
import { openOutboxCounts } from "./counts.ts";
import { enqueue, type OutboxMessage, type OutboxRow, type SentChannel } from "./outbox.ts";
import { beginning, selectDueQueues } from "./store.ts";
import { startOutbox } from "./worker.ts";

describeOnBothEngines("an outbox with much in it", (engine) => {
  let test: TestStorage;
  let storage: Storage;
  beforeEach(async () => {
    test = await openTestStorage(engine);
    storage = test.storage;
  });
  afterEach(() => test.close());

  function message(fields: Partial<OutboxMessage> = {}): OutboxMessage {
    const [account_id, expires_at] = ["P11223344", storage.now() + 600_000];
    const to = { channel: "http", destination: "shop.example", inbox: null } as const;
    return { account_id, kind: "note", ...to, payload: {}, expires_at, ...fields };
  }

  const put = (fields: Partial<OutboxMessage>) => storage.write((tx) => enqueue(tx, message(fields), storage.now()));

  /** One message for each of very many destinations, of which none is due for a while. */
  async function putForMany(count: number, channel: SentChannel = "http"): Promise<readonly string[]> {
    const later = storage.now() + 300_000;
    const destinations = Array.from({ length: count }, (_, n) => `many.example:${10_000 + n}`);
    await storage.write(async (tx) => {
      for (const destination of destinations)
        await enqueue(tx, message({ channel, destination, expires_at: later + 60_000 }), later);
    });
    return destinations;
  }

  it.each(["mail", "sms", "http"] as const)("comes to all of %s, and to a bounded number each time", async (over) => {
    const destinations = await putForMany(450, over);
    const other = over === "mail" ? "sms" : "mail";
    await put({ channel: other, destination: "" });
    const now = instant(storage.now() + 300_000);
    const seen: string[][] = [];
    let from: Partial<typeof beginning> = beginning;
    do {
      const { due, next } = await selectDueQueues(storage.read, now, from, { claimed_by: "me", takes_over: false });
      expect(due.filter(({ channel }) => channel === other)).toHaveLength(1);
      seen.push(due.flatMap(({ channel, destination }) => (channel === over ? destination : [])));
      from = next;
    } while (from[over] !== "");
    expect(seen.map(({ length }) => length)).toEqual([200, 200, 52]);
    expect([...new Set(seen.flat())].toSorted()).toEqual(destinations);
  });

  it("sends what is due, however many destinations wait that are not", async () => {
    await putForMany(450);
    const sent: string[] = [];
    const send = async ({ destination }: OutboxRow) => void sent.push(destination);
    const kinds = { note: { render: async (row: OutboxRow) => row, send } };
    const outbox = startOutbox(storage, kinds, { log, poll: 10, recordFailure: async () => {} });
    for (const destination of ["other.example", "some.example", "a.example"]) {
      await put({ destination });
      await until(`what goes to ${destination}`, () => (sent.includes(destination) ? true : undefined));
    }
    await outbox.stop();
    expect(sent).toEqual(["other.example", "some.example", "a.example"]);
  });

  const log = { info() {}, warn() {}, error() {} };

  /** An outbox whose sends end when the test says so, and what they went to in the order in which they began. */
  function startHeld(each: number) {
    const slots = { mail: { all: 6, each }, sms: { all: 6, each }, http: { all: 6, each } };
    const begun: { readonly destination: string; readonly end: () => void }[] = [];
    const send = ({ destination }: OutboxRow) =>
      new Promise<void>((end) => {
        begun.push({ destination, end });
      });
    const kinds = { note: { render: async (row: OutboxRow) => row, send } };
    const outbox = startOutbox(storage, kinds, { log, slots, poll: 10, drain: 0, recordFailure: async () => {} });
    const destinations = () => begun.map(({ destination }) => destination);
    const underWay = async (count: number) => {
      await until(`${count} to begin`, () => begun.length >= count || undefined);
      return destinations();
    };
    return { outbox, begun, underWay };
  }

  it("gives its places one at a time, where the fewest are under way", async () => {
    for (const destination of ["busy", "other"]) for (let n = 0; n < 8; n++) await put({ destination });
    const { outbox, underWay } = startHeld(5);
    expect((await underWay(6)).toSorted()).toEqual(["busy", "busy", "busy", "other", "other", "other"]);
    await outbox.stop();
  });

  /** What comes after it comes at a later instant. */
  const nextInstant = () => new Promise((resolve) => setTimeout(resolve, 5));

  it("gives a place first to who has waited longest since it was due or served", async () => {
    const busy = ["a", "b", "c", "d", "e", "f"];
    for (const destination of busy) for (let n = 0; n < 4; n++) await put({ destination });
    const { outbox, begun, underWay } = startHeld(1);
    expect((await underWay(6)).toSorted()).toEqual(busy);
    await nextInstant();
    await put({ destination: "late" });
    await nextInstant();
    begun[3]?.end();
    expect((await underWay(7))[6]).toBe(begun[3]?.destination);
    begun[6]?.end();
    expect((await underWay(8))[7]).toBe("late");
    await outbox.stop();
  });

  it("lets nobody be overtaken by destinations that come after it, never served before", async () => {
    for (const destination of ["a", "b", "c", "d", "e", "legit"]) await put({ destination });
    const { outbox, begun, underWay } = startHeld(1);
    await underWay(6);
    begun.find(({ destination }) => destination === "legit")?.end();
    await put({ destination: "first" });
    expect((await underWay(7))[6]).toBe("first");
    for (const destination of ["legit", "n1", "n2", "n3"]) {
      await put({ destination });
      await nextInstant();
    }
    begun[6]?.end();
    expect((await underWay(8))[7]).toBe("legit");
    begun[7]?.end();
    expect((await underWay(9))[8]).toBe("n1");
    await outbox.stop();
  });

  it("finds what a nudge is for in one round of looks, however many destinations wait", async () => {
    await putForMany(450);
    const sent: string[] = [];
    const send = async ({ destination }: OutboxRow) => void sent.push(destination);
    const kinds = { note: { render: async (row: OutboxRow) => row, send } };
    const outbox = startOutbox(storage, kinds, { log, poll: 3_600_000, recordFailure: async () => {} });
    for (const destination of ["other.example", "a.example", "some.example"]) {
      await new Promise((resolve) => setTimeout(resolve, 100));
      await put({ destination });
      outbox.nudge();
      await until(`what goes to ${destination}`, () => sent.includes(destination) || undefined);
    }
    await outbox.stop();
  });

  it("is counted once in five seconds, whoever asks, and nothing is told where it cannot be", async () => {
    let time = 0;
    const counts = openOutboxCounts(storage, () => time);
    const counted = { late: 0, undeliverable: 0 };
    expect(await counts()).toEqual(counted);
    await storage.write((tx) => enqueue(tx, message(), storage.now() - 61_000));
    time = 4_999;
    expect(await Promise.all([counts(), counts()])).toEqual([counted, counted]);
    time = 5_000;
    expect(await counts()).toEqual({ late: 1, undeliverable: 0 });
    time = 10_000;
    await storage.write((tx) => sql`alter table outbox rename to elsewhere`.execute(tx.db));
    expect(await counts()).toBeUndefined();
  });
});

import { EventEmitter } from "node:events";
import { afterEach, beforeEach, expect, it, vi } from "vitest";
import { secret } from "./secret.ts";
import { ROOM, slowHash } from "./slow-hash.ts";

/** A process that hashes when it is told to. */
const hasher = vi.hoisted(() => ({
  asked: [] as number[],
  answer: (_id: number) => {},
  tell: (_event: "error" | "exit") => {},
}));

vi.mock("node:child_process", () => ({
  fork() {
    const child = Object.assign(new EventEmitter(), {
      ...{ ref() {}, unref() {} },
      send: ({ id }: { id: number }) => void hasher.asked.push(id),
    });
    hasher.tell = (event) => void child.emit(event);
    hasher.answer = (id) => void child.emit("message", { id, hash: `of ${id}` });
    return child;
  },
}));

beforeEach(() => void vi.useFakeTimers());
afterEach(() => void vi.useRealTimers());

/** Of all that are asked for, one after another. */
async function finish(count: number): Promise<void> {
  for (let n = 0; n < count; n++) {
    hasher.answer(hasher.asked[n] ?? 0);
    await vi.advanceTimersByTimeAsync(0);
  }
}

it("leaves others their turn, and room, whatever one account wants hashed", async () => {
  const ended: string[] = [];
  const begin = (account_id: string, name = account_id) =>
    slowHash(account_id, secret("a long password")).then(
      () => void ended.push(name),
      ({ code }) => void ended.push(`${name}: ${code}`),
    );
  const flood = Array.from({ length: ROOM }, (_, n) => begin("T11200001", `flood ${n}`));
  await vi.advanceTimersByTimeAsync(0);
  expect(ended, "there was room for just so many").toEqual([]);
  await begin("T11200001", "one more");
  expect(ended.splice(0)).toEqual(["one more: temporarily_unavailable"]);
  const others = [begin("T11200002"), begin("T11200002"), begin("T11200003")];
  await vi.advanceTimersByTimeAsync(0);
  const last = [ROOM - 1, ROOM - 2, ROOM - 3].map((n) => `flood ${n}: temporarily_unavailable`);
  expect(ended.splice(0), "whoever came last of those with most gave way").toEqual(last);
  await finish(ROOM);
  await Promise.all([...flood, ...others]);
  const places = ["T11200002", "T11200003", "T11200002"].map((name) => ended.indexOf(name));
  expect(Math.max(...places), "each in its turn").toBeLessThan(12);
  expect(ended).toHaveLength(ROOM);
  hasher.asked.splice(0);
});

it("keeps its place until the process has done with it, and then whoever is next has it", async () => {
  const WAITING = 200;
  const refused: unknown[] = [];
  const begin = () => slowHash("T11200001", secret("a long password")).catch(({ code }) => void refused.push(code));
  const first = Array.from({ length: ROOM - WAITING }, begin);
  await vi.advanceTimersByTimeAsync(5_000);
  await Promise.all(first);
  const abandoned = [...hasher.asked];
  expect([abandoned.length, refused.length]).toEqual([first.length, first.length]);
  const second = begin();
  await vi.advanceTimersByTimeAsync(5_000);
  await second;
  expect(refused).toEqual(Array(first.length + 1).fill("temporarily_unavailable"));
  expect(hasher.asked, "nothing more was begun").toEqual(abandoned);
  const third = begin();
  for (const id of abandoned) hasher.answer(id);
  await vi.advanceTimersByTimeAsync(0);
  const [id = 0, ...more] = hasher.asked.slice(abandoned.length);
  expect(more).toEqual([]);
  hasher.answer(id);
  expect(await third).toBe(`of ${id}`);
});

it("fails with the process that was asked, and with no other", async () => {
  hasher.asked.splice(0);
  const lost = slowHash("T11200001", secret("a long password")).catch(({ code }) => code);
  await vi.advanceTimersByTimeAsync(0);
  const { tell } = hasher;
  tell("error");
  expect(await lost).toBe("temporarily_unavailable");
  const next = slowHash("T11200001", secret("a long password"));
  await vi.advanceTimersByTimeAsync(0);
  tell("exit");
  const [, id = 0] = hasher.asked;
  hasher.answer(id);
  expect(await next).toBe(`of ${id}`);
});

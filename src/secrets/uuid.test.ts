import fc from "fast-check";
import { expect, it } from "vitest";
import { uuidv7 } from "./uuid.ts";

it("a UUIDv7 holds its time, version and variant, and sorts by the time", () => {
  fc.assert(
    fc.property(fc.nat(2 ** 48 - 2), (now) => {
      const uuid = uuidv7(now);
      expect(uuid).toMatch(/^[0-9a-f]{8}-[0-9a-f]{4}-7[0-9a-f]{3}-[89ab][0-9a-f]{3}-[0-9a-f]{12}$/);
      expect(Number.parseInt(uuid.replace("-", "").slice(0, 12), 16)).toBe(now);
      expect(uuid < uuidv7(now + 1)).toBe(true);
    }),
  );
});

it("no two are the same, and every random bit is drawn", () => {
  const drawn = Array.from({ length: 2_000 }, () => uuidv7(0));
  expect(new Set(drawn).size).toBe(drawn.length);
  for (const place of [15, 16, 17, 19, 20, 21, 22, ...Array.from({ length: 12 }, (_, n) => 24 + n)]) {
    expect(new Set(drawn.map((uuid) => uuid[place])).size, `digit ${place}`).toBe(place === 19 ? 4 : 16);
  }
});

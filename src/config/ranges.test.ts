import { describe, expect, it } from "vitest";
import { parseRange } from "./ranges.ts";

describe("a range of addresses", () => {
  it.each(["10", "10.0", "10/8", "167772160", "0xa.0.0.0/8", "012.0.0.1", "10.0.0.0/", "10.0.0.0/99", "/8", "home"])(
    "is not written %s, which could be read as another",
    (entry) => expect(() => parseRange(entry)).toThrow(`${entry} is no address range (CIDR)`),
  );

  it.each(["10.0.0.0/8", "10.1.2.3", "::1", "fd00::/8", "::ffff:10.0.0.1"])("is written %s", (entry) => {
    expect(parseRange(entry)).toHaveLength(2);
  });
});

import { expect, it } from "vitest";
import { accountOf } from "../../../test/support/verification-room.ts";
import { linkTo, readLinks } from "./read-links.ts";

const account = accountOf({ account_id: "T00000001" } as Parameters<typeof accountOf>[0]);

it.each(["a?b#c%d&e+f@example.com", "a/b=c&d@example.com", "grace.hopper@example.com"])(
  "a link to %s means that address to whoever reads it",
  async (email) => {
    const link = linkTo("email", email);
    const { protocol, pathname, search, hash } = new URL(link.href);
    expect([protocol, decodeURIComponent(pathname), search, hash]).toEqual(["mailto:", email, "", ""]);
    expect((await readLinks([link], account)).email).toBe(email);
  },
);

it("a link to a number is written as it was", () => {
  expect(linkTo("phone_number", "+4740000001")).toEqual({ rel: "phone_number", href: "tel:+4740000001" });
});

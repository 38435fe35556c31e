import { expect, it } from "vitest";
import { wentByBoth, wentBySms, wentOver, wentOverAlone, wentOverSeveral, withConnection } from "./sent-over.ts";

const of = (connections: string | null) => ({ connections });

it("tells the connections of a code apart by their whole names", () => {
  const facts = ["sms", "email sms", "sms-abroad", null].map((connections) => [
    wentOver(of(connections), "sms"),
    wentOverAlone(of(connections), "sms"),
    wentOverSeveral(of(connections)),
  ]);
  expect(facts).toEqual([
    [true, true, false],
    [true, false, true],
    [false, false, false],
    [false, false, false],
  ]);
});

it("names each connection once, in the order of first use", () => {
  const after = [null, "sms", "email", "sms email"].map((connections) => withConnection(of(connections), "sms"));
  expect(after).toEqual(["sms", "sms", "email sms", "sms email"]);
});

it("says what whoever has a code has read, where that can be said", () => {
  const [email, phone_number] = ["ada@example.com", "+4740000001"];
  const ways = (connections: string | null, to: { email?: string; phone_number?: string }) => {
    const code = { connections, email: null, phone_number: null, ...to };
    return { sms: wentBySms(code), both: wentByBoth(code) };
  };
  const by_mail_or_hand = { sms: false, both: false };
  expect(ways(null, { email, phone_number })).toEqual(by_mail_or_hand);
  expect(ways("email", { email, phone_number })).toEqual(by_mail_or_hand);
  expect(ways("email sms", { email })).toEqual(by_mail_or_hand);
  expect(ways("email sms", {})).toEqual(by_mail_or_hand);
  expect(ways("email sms", { phone_number })).toEqual({ sms: true, both: false });
  expect(ways("sms", { email, phone_number })).toEqual({ sms: true, both: false });
  expect(ways("email sms", { email, phone_number })).toEqual({ sms: false, both: true });
});

import { expect, it } from "vitest";
import { openEgress } from "../egress/egress.ts";
import { openSms, smsUrlFault } from "./sms.ts";

it.each([
  ["twilio://AC77:100%pure@4740000000", /%25/],
  ["https://:100%pure@sms.example/", /%25/],
  ["twilio://AC77:token@4740000000?base=sms.example", /base/],
  ["twilio://AC77:token@4740000000?base=ftp://sms.example", /base/],
  ["twilio://AC77:token@4740000000?base=http://sms.example", /https/],
  ["http://:secret@sms.example/send", /https/],
  ["ftp://:secret@sms.example/send", /https/],
  ["sms.example", /no URL/],
  ["https://sms.example/", /secret/],
])("says at the start what is wrong with SMS_URL, without repeating it: %s", (sms_url, said) => {
  expect(smsUrlFault(sms_url)).toMatch(said);
  expect(smsUrlFault(sms_url)).not.toMatch(/pure|AC77/);
});

it.each([
  "twilio://AC77:100%25pure@+4740000000",
  "twilio://AC77:token@Shop?base=https://sms.example/",
  "https://:100%25pure@sms.example/",
  "https://sms.example/?secret=s",
  "http://:secret@127.0.0.1:8025/send",
  "twilio://AC77:token@Shop?base=http://localhost:8025/",
])("opens what it finds no fault with: %s", (sms_url) => {
  expect(smsUrlFault(sms_url)).toBeUndefined();
  openSms(openEgress([]), sms_url);
});

import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 minute" : `${minutes} minutes`);

export const en: Template = {
  language: "en",
  subject: (client) => `Your login code for ${client}`,
  signup_subject: (client) => `Confirm your address for ${client}`,
  closed_subject: (client) => `Somebody guesses your login codes for ${client}`,
  login: (client) => `Enter this code to log in to ${client}:`,
  signup: (client) => `Enter this code to create your user at ${client}:`,
  closed: (client) =>
    `Somebody entered wrong login codes for ${client} in your name. Short codes are switched off for a while. If you want to log in, enter this longer code:`,
  lifetime: (minutes) => `The code works once, for ${minutesOf(minutes)}.`,
  not_you: "If you did not ask for it, you need not do anything. Give the code to nobody: we never ask for it.",
  link: "Log in on this device",
  sms: (client, code, minutes) => `${code} is your login code for ${client}. It works for ${minutesOf(minutes)}.`,
};

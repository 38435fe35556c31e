import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 minute" : `${minutes} minutes`);

export const en: Template = {
  language: "en",
  purposes: {
    login: {
      subject: (client) => `Your login code for ${client}`,
      intro: (client) => `Enter this code to log in to ${client}:`,
      sms: (client, code) => `${code} is your login code for ${client}.`,
    },
    signup: {
      subject: (client) => `Confirm your address for ${client}`,
      intro: (client) => `Enter this code to create your account at ${client}:`,
      sms: (client, code) => `${code} is your code to create your account at ${client}.`,
    },
    numeric_closed: {
      subject: (client) => `Somebody is trying to guess your login codes for ${client}`,
      intro: (client) =>
        `Somebody entered wrong login codes for ${client} in your name. Short codes are switched off for a while. If you want to log in, enter this longer code:`,
      sms: (client, code) =>
        `Somebody is trying to guess your login codes for ${client}. Short codes are switched off for a while; ${code} logs you in.`,
    },
    page_guessed: {
      subject: (client) => `Somebody is trying to guess your login codes for ${client}`,
      intro: (client) =>
        `Somebody entered wrong login codes for ${client} in your name. Short codes are switched off for a while. If you want to log in, ask for a new code where you log in: it will be longer.`,
    },
    second_factor: {
      subject: (client) => `Your second code for ${client}`,
      intro: (client) => `Enter this code to finish logging in to ${client}:`,
      sms: (client, code) => `${code} is your second code for ${client}.`,
    },
    password_reset: {
      subject: (client) => `Choose a new password for ${client}`,
      intro: (client) => `Enter this code at ${client} to choose a new password:`,
      sms: (client, code) => `${code} is your code to choose a new password at ${client}.`,
    },
    contact: {
      subject: (client) => `Confirm this address for ${client}`,
      intro: (client) => `Enter this code to confirm to ${client} that this address is yours:`,
      sms: (client, code) => `${code} is your code to confirm this number to ${client}.`,
    },
    account_signup: {
      subject: (client) => `Finish signing up at ${client}`,
      intro: (client) => `Enter this code to open your account at ${client}:`,
      sms: (client, code) => `${code} is your code to open your account at ${client}.`,
    },
  },
  changed: {
    subject: (client) => `How you log in at ${client} has changed`,
    what: {
      contact_changed: (client) => `Another address or number now logs in to ${client} in your name.`,
      password_changed: (client) => `A new password or PIN for ${client} was set in your name.`,
      user_name_added: (client) => `A new user name and its password now log in to ${client} in your name.`,
      user_name_changed: (client) => `A user name that logs in to ${client} in your name was changed.`,
      user_name_removed: (client) => `A user name no longer logs in to ${client} in your name.`,
      factor_added: (client) => `A second step was set up for your logins at ${client}.`,
      factor_removed: (client) => `A second step of your logins at ${client} was switched off.`,
    },
    at: (day, time) => `That was on ${day} at ${time}.`,
    not_you: (client) => `If that was not you, tell ${client} at once.`,
  },
  lifetime: (minutes) => `The code works once, for ${minutesOf(minutes)}.`,
  not_you: "If you did not ask for it, you need not do anything. Do not give the code to anybody. We never ask for it.",
  link: "Log in on this device",
  sms_lifetime: (minutes) => `It works for ${minutesOf(minutes)}.`,
};

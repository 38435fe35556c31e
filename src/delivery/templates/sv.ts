import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 minut" : `${minutes} minuter`);

export const sv: Template = {
  language: "sv",
  purposes: {
    login: {
      subject: (client) => `Din inloggningskod till ${client}`,
      intro: (client) => `Ange den här koden för att logga in hos ${client}:`,
      sms: (client, code) => `${code} är din inloggningskod till ${client}.`,
    },
    signup: {
      subject: (client) => `Bekräfta din adress hos ${client}`,
      intro: (client) => `Ange den här koden för att skapa ditt konto hos ${client}:`,
      sms: (client, code) => `${code} är din kod för att skapa ditt konto hos ${client}.`,
    },
    numeric_closed: {
      subject: (client) => `Någon försöker gissa dina inloggningskoder till ${client}`,
      intro: (client) =>
        `Någon har angett felaktiga inloggningskoder till ${client} i ditt namn. Korta koder är avstängda en stund. Vill du logga in anger du den här längre koden:`,
      sms: (client, code) =>
        `Någon försöker gissa dina inloggningskoder till ${client}. Korta koder är avstängda en stund; du loggar in med ${code}.`,
    },
    page_guessed: {
      subject: (client) => `Någon försöker gissa dina inloggningskoder till ${client}`,
      intro: (client) =>
        `Någon har angett felaktiga inloggningskoder till ${client} i ditt namn. Korta koder är avstängda en stund. Vill du logga in begär du en ny kod där du loggar in: den blir längre.`,
    },
    second_factor: {
      subject: (client) => `Din andra kod till ${client}`,
      intro: (client) => `Ange den här koden för att slutföra inloggningen hos ${client}:`,
      sms: (client, code) => `${code} är din andra kod till ${client}.`,
    },
    password_reset: {
      subject: (client) => `Välj ett nytt lösenord hos ${client}`,
      intro: (client) => `Ange den här koden hos ${client} för att välja ett nytt lösenord:`,
      sms: (client, code) => `${code} är din kod för att välja ett nytt lösenord hos ${client}.`,
    },
    contact: {
      subject: (client) => `Bekräfta den här adressen hos ${client}`,
      intro: (client) => `Ange den här koden för att bekräfta för ${client} att adressen är din:`,
      sms: (client, code) => `${code} är din kod för att bekräfta det här numret för ${client}.`,
    },
    account_signup: {
      subject: (client) => `Slutför registreringen hos ${client}`,
      intro: (client) => `Ange den här koden för att öppna ditt konto hos ${client}:`,
      sms: (client, code) => `${code} är din kod för att öppna ditt konto hos ${client}.`,
    },
  },
  changed: {
    subject: (client) => `Din inloggning hos ${client} har ändrats`,
    what: {
      contact_changed: (client) =>
        `En ny adress eller ett nytt nummer används nu för att logga in hos ${client} i ditt namn.`,
      password_changed: (client) => `Ett nytt lösenord eller en ny PIN-kod för ${client} valdes i ditt namn.`,
      user_name_added: (client) =>
        `Ett nytt användarnamn och dess lösenord används nu för att logga in hos ${client} i ditt namn.`,
      user_name_changed: (client) =>
        `Ett användarnamn som används för att logga in hos ${client} i ditt namn ändrades.`,
      user_name_removed: (client) => `Ett användarnamn används inte längre för att logga in hos ${client} i ditt namn.`,
      factor_added: (client) => `Ett extra steg lades till i din inloggning hos ${client}.`,
      factor_removed: (client) => `Ett extra steg i din inloggning hos ${client} stängdes av.`,
    },
    at: (day, time) => `Det skedde ${day} kl. ${time}.`,
    not_you: (client) => `Om det inte var du, kontakta ${client} genast.`,
  },
  lifetime: (minutes) => `Koden fungerar en gång, i ${minutesOf(minutes)}.`,
  not_you: "Har du inte bett om den behöver du inte göra något. Ge inte koden till någon. Vi frågar aldrig efter den.",
  link: "Logga in på den här enheten",
  sms_lifetime: (minutes) => `Den fungerar i ${minutesOf(minutes)}.`,
};

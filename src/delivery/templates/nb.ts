import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 minutt" : `${minutes} minutter`);

export const nb: Template = {
  language: "nb",
  subject: (client) => `Innloggingskoden din til ${client}`,
  signup_subject: (client) => `Bekreft adressen din hos ${client}`,
  closed_subject: (client) => `Noen gjetter innloggingskodene dine til ${client}`,
  login: (client) => `Skriv inn denne koden for å logge inn hos ${client}:`,
  signup: (client) => `Skriv inn denne koden for å opprette brukeren din hos ${client}:`,
  closed: (client) =>
    `Noen har skrevet inn feil innloggingskoder til ${client} i ditt navn. Korte koder er slått av en stund. Vil du logge inn, skriv inn denne lengre koden:`,
  lifetime: (minutes) => `Koden virker én gang, i ${minutesOf(minutes)}.`,
  not_you: "Har du ikke bedt om den, trenger du ikke å gjøre noe. Gi ikke koden til noen: vi spør aldri om den.",
  link: "Logg inn på denne enheten",
  sms: (client, code, minutes) => `${code} er innloggingskoden din til ${client}. Den virker i ${minutesOf(minutes)}.`,
};

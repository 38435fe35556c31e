import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 minut" : `${minutes} minutter`);

export const da: Template = {
  language: "da",
  purposes: {
    login: {
      subject: (client) => `Din loginkode til ${client}`,
      intro: (client) => `Indtast denne kode for at logge ind hos ${client}:`,
      sms: (client, code) => `${code} er din loginkode til ${client}.`,
    },
    signup: {
      subject: (client) => `Bekræft din adresse hos ${client}`,
      intro: (client) => `Indtast denne kode for at oprette din konto hos ${client}:`,
      sms: (client, code) => `${code} er din kode til at oprette din konto hos ${client}.`,
    },
    numeric_closed: {
      subject: (client) => `Nogen prøver at gætte dine loginkoder til ${client}`,
      intro: (client) =>
        `Nogen har indtastet forkerte loginkoder til ${client} i dit navn. Korte koder er slået fra et stykke tid. Vil du logge ind, så indtast denne længere kode:`,
      sms: (client, code) =>
        `Nogen prøver at gætte dine loginkoder til ${client}. Korte koder er slået fra et stykke tid; du logger ind med ${code}.`,
    },
    page_guessed: {
      subject: (client) => `Nogen prøver at gætte dine loginkoder til ${client}`,
      intro: (client) =>
        `Nogen har indtastet forkerte loginkoder til ${client} i dit navn. Korte koder er slået fra et stykke tid. Vil du logge ind, så bed om en ny kode der, hvor du logger ind: den bliver længere.`,
    },
    second_factor: {
      subject: (client) => `Din anden kode til ${client}`,
      intro: (client) => `Indtast denne kode for at fuldføre dit login hos ${client}:`,
      sms: (client, code) => `${code} er din anden kode til ${client}.`,
    },
    password_reset: {
      subject: (client) => `Vælg en ny adgangskode hos ${client}`,
      intro: (client) => `Indtast denne kode hos ${client} for at vælge en ny adgangskode:`,
      sms: (client, code) => `${code} er din kode til at vælge en ny adgangskode hos ${client}.`,
    },
    contact: {
      subject: (client) => `Bekræft denne adresse hos ${client}`,
      intro: (client) => `Indtast denne kode for at bekræfte over for ${client}, at adressen er din:`,
      sms: (client, code) => `${code} er din kode til at bekræfte dette nummer over for ${client}.`,
    },
    contact_changed: {
      subject: (client) => `Dit login hos ${client} er ændret`,
      intro: (client) =>
        `En ny adresse eller et nyt nummer logger nu ind hos ${client} i dit navn. Var det ikke dig, så sig det til ${client} med det samme.`,
    },
    account_signup: {
      subject: (client) => `Fuldfør registreringen hos ${client}`,
      intro: (client) => `Indtast denne kode for at åbne din konto hos ${client}:`,
      sms: (client, code) => `${code} er din kode til at åbne din konto hos ${client}.`,
    },
  },
  lifetime: (minutes) => `Koden virker én gang, i ${minutesOf(minutes)}.`,
  not_you: "Har du ikke bedt om den, behøver du ikke gøre noget. Giv ikke koden til nogen. Vi beder aldrig om den.",
  link: "Log ind på denne enhed",
  sms_lifetime: (minutes) => `Den virker i ${minutesOf(minutes)}.`,
};

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
    account_signup: {
      subject: (client) => `Fuldfør registreringen hos ${client}`,
      intro: (client) => `Indtast denne kode for at åbne din konto hos ${client}:`,
      sms: (client, code) => `${code} er din kode til at åbne din konto hos ${client}.`,
    },
  },
  changed: {
    subject: (client) => `Dit login hos ${client} er ændret`,
    what: {
      contact_changed: (client) => `En ny adresse eller et nyt nummer logger nu ind hos ${client} i dit navn.`,
      password_changed: (client) => `Der er valgt en ny adgangskode eller pinkode til ${client} i dit navn.`,
      user_name_added: (client) => `Et nyt brugernavn og dets adgangskode logger nu ind hos ${client} i dit navn.`,
      user_name_changed: (client) => `Et brugernavn, som logger ind hos ${client} i dit navn, er ændret.`,
      user_name_removed: (client) => `Et brugernavn logger ikke længere ind hos ${client} i dit navn.`,
      factor_added: (client) => `Der er tilføjet et ekstra trin til dit login hos ${client}.`,
      factor_removed: (client) => `Et ekstra trin ved dit login hos ${client} er slået fra.`,
    },
    at: (day, time) => `Det skete den ${day} kl. ${time}.`,
    not_you: (client) => `Var det ikke dig, så sig det til ${client} med det samme.`,
  },
  lifetime: (minutes) => `Koden virker én gang, i ${minutesOf(minutes)}.`,
  not_you: "Har du ikke bedt om den, behøver du ikke gøre noget. Giv ikke koden til nogen. Vi beder aldrig om den.",
  link: "Log ind på denne enhed",
  sms_lifetime: (minutes) => `Den virker i ${minutesOf(minutes)}.`,
};

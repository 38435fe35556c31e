import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 minutt" : `${minutes} minutter`);

export const nb: Template = {
  language: "nb",
  purposes: {
    login: {
      subject: (client) => `Innloggingskoden din til ${client}`,
      intro: (client) => `Skriv inn denne koden for å logge inn hos ${client}:`,
      sms: (client, code) => `${code} er innloggingskoden din til ${client}.`,
    },
    signup: {
      subject: (client) => `Bekreft adressen din hos ${client}`,
      intro: (client) => `Skriv inn denne koden for å opprette kontoen din hos ${client}:`,
      sms: (client, code) => `${code} er koden din for å opprette kontoen din hos ${client}.`,
    },
    numeric_closed: {
      subject: (client) => `Noen prøver å gjette innloggingskodene dine til ${client}`,
      intro: (client) =>
        `Noen har skrevet inn feil innloggingskoder til ${client} i ditt navn. Korte koder er slått av en stund. Vil du logge inn, skriv inn denne lengre koden:`,
      sms: (client, code) =>
        `Noen prøver å gjette innloggingskodene dine til ${client}. Korte koder er slått av en stund; ${code} logger deg inn.`,
    },
    page_guessed: {
      subject: (client) => `Noen prøver å gjette innloggingskodene dine til ${client}`,
      intro: (client) =>
        `Noen har skrevet inn feil innloggingskoder til ${client} i ditt navn. Korte koder er slått av en stund. Vil du logge inn, be om en ny kode der du logger inn: den blir lengre.`,
    },
    second_factor: {
      subject: (client) => `Den andre koden din til ${client}`,
      intro: (client) => `Skriv inn denne koden for å fullføre innloggingen hos ${client}:`,
      sms: (client, code) => `${code} er den andre koden din til ${client}.`,
    },
    password_reset: {
      subject: (client) => `Velg et nytt passord hos ${client}`,
      intro: (client) => `Skriv inn denne koden hos ${client} for å velge et nytt passord:`,
      sms: (client, code) => `${code} er koden din for å velge et nytt passord hos ${client}.`,
    },
    contact: {
      subject: (client) => `Bekreft denne adressen hos ${client}`,
      intro: (client) => `Skriv inn denne koden for å bekrefte overfor ${client} at adressen er din:`,
      sms: (client, code) => `${code} er koden din for å bekrefte dette nummeret overfor ${client}.`,
    },
    account_signup: {
      subject: (client) => `Fullfør registreringen hos ${client}`,
      intro: (client) => `Skriv inn denne koden for å åpne kontoen din hos ${client}:`,
      sms: (client, code) => `${code} er koden din for å åpne kontoen din hos ${client}.`,
    },
  },
  changed: {
    subject: (client) => `Innloggingen din hos ${client} er endret`,
    what: {
      contact_changed: (client) => `En ny adresse eller et nytt nummer logger nå inn hos ${client} i ditt navn.`,
      password_changed: (client) => `Nytt passord eller ny PIN for ${client} ble satt i ditt navn.`,
      user_name_added: (client) => `Et nytt brukernavn og passordet til det logger nå inn hos ${client} i ditt navn.`,
      user_name_changed: (client) => `Et brukernavn som logger inn hos ${client} i ditt navn, ble endret.`,
      user_name_removed: (client) => `Et brukernavn logger ikke lenger inn hos ${client} i ditt navn.`,
      factor_added: (client) => `Et ekstra steg ble lagt til innloggingen din hos ${client}.`,
      factor_removed: (client) => `Et ekstra steg i innloggingen din hos ${client} ble slått av.`,
    },
    at: (day, time) => `Det skjedde ${day} kl. ${time}.`,
    not_you: (client) => `Var det ikke deg, si fra til ${client} med en gang.`,
  },
  lifetime: (minutes) => `Koden virker én gang, i ${minutesOf(minutes)}.`,
  not_you: "Har du ikke bedt om den, trenger du ikke å gjøre noe. Gi ikke koden til noen. Vi spør aldri om den.",
  link: "Logg inn på denne enheten",
  sms_lifetime: (minutes) => `Den virker i ${minutesOf(minutes)}.`,
};

import type { Template } from "./template.ts";

const minutesOf = (minutes: number) => (minutes === 1 ? "1 Minute" : `${minutes} Minuten`);

export const de: Template = {
  language: "de",
  purposes: {
    login: {
      subject: (client) => `Ihr Anmeldecode für ${client}`,
      intro: (client) => `Geben Sie diesen Code ein, um sich bei ${client} anzumelden:`,
      sms: (client, code) => `${code} ist Ihr Anmeldecode für ${client}.`,
    },
    signup: {
      subject: (client) => `Bestätigen Sie Ihre Adresse für ${client}`,
      intro: (client) => `Geben Sie diesen Code ein, um Ihr Konto bei ${client} anzulegen:`,
      sms: (client, code) => `${code} ist Ihr Code, um Ihr Konto bei ${client} anzulegen.`,
    },
    numeric_closed: {
      subject: (client) => `Jemand versucht, Ihre Anmeldecodes für ${client} zu erraten`,
      intro: (client) =>
        `Jemand hat in Ihrem Namen falsche Anmeldecodes für ${client} eingegeben. Kurze Codes sind eine Weile abgeschaltet. Wenn Sie sich anmelden wollen, geben Sie diesen längeren Code ein:`,
      sms: (client, code) =>
        `Jemand versucht, Ihre Anmeldecodes für ${client} zu erraten. Kurze Codes sind eine Weile abgeschaltet; mit ${code} melden Sie sich an.`,
    },
    page_guessed: {
      subject: (client) => `Jemand versucht, Ihre Anmeldecodes für ${client} zu erraten`,
      intro: (client) =>
        `Jemand hat in Ihrem Namen falsche Anmeldecodes für ${client} eingegeben. Kurze Codes sind eine Weile abgeschaltet. Wenn Sie sich anmelden wollen, fordern Sie dort, wo Sie sich anmelden, einen neuen Code an: Er wird länger sein.`,
    },
    second_factor: {
      subject: (client) => `Ihr zweiter Code für ${client}`,
      intro: (client) => `Geben Sie diesen Code ein, um die Anmeldung bei ${client} abzuschließen:`,
      sms: (client, code) => `${code} ist Ihr zweiter Code für ${client}.`,
    },
    password_reset: {
      subject: (client) => `Wählen Sie ein neues Passwort für ${client}`,
      intro: (client) => `Geben Sie diesen Code bei ${client} ein, um ein neues Passwort zu wählen:`,
      sms: (client, code) => `${code} ist Ihr Code, um bei ${client} ein neues Passwort zu wählen.`,
    },
    contact: {
      subject: (client) => `Bestätigen Sie diese Adresse für ${client}`,
      intro: (client) =>
        `Geben Sie diesen Code ein, um gegenüber ${client} zu bestätigen, dass die Adresse Ihnen gehört:`,
      sms: (client, code) => `${code} ist Ihr Code, um diese Nummer gegenüber ${client} zu bestätigen.`,
    },
    account_signup: {
      subject: (client) => `Schließen Sie die Registrierung bei ${client} ab`,
      intro: (client) => `Geben Sie diesen Code ein, um Ihr Konto bei ${client} zu eröffnen:`,
      sms: (client, code) => `${code} ist Ihr Code, um Ihr Konto bei ${client} zu eröffnen.`,
    },
  },
  changed: {
    subject: (client) => `Ihre Anmeldung bei ${client} hat sich geändert`,
    what: {
      contact_changed: (client) =>
        `Mit einer neuen Adresse oder Nummer meldet man sich jetzt in Ihrem Namen bei ${client} an.`,
      password_changed: (client) => `Für ${client} wurde in Ihrem Namen ein neues Passwort oder eine neue PIN gesetzt.`,
      user_name_added: (client) =>
        `Mit einem neuen Benutzernamen und dessen Passwort meldet man sich jetzt in Ihrem Namen bei ${client} an.`,
      user_name_changed: (client) =>
        `Ein Benutzername, mit dem man sich in Ihrem Namen bei ${client} anmeldet, wurde geändert.`,
      user_name_removed: (client) => `Mit einem Ihrer Benutzernamen kann man sich bei ${client} nicht mehr anmelden.`,
      factor_added: (client) => `Für Ihre Anmeldung bei ${client} wurde ein zweiter Schritt eingerichtet.`,
      factor_removed: (client) => `Für Ihre Anmeldung bei ${client} wurde ein zweiter Schritt abgeschaltet.`,
    },
    at: (day, time) => `Das war am ${day} um ${time}.`,
    not_you: (client) => `Waren Sie das nicht, wenden Sie sich sofort an ${client}.`,
  },
  lifetime: (minutes) => `Der Code gilt nur einmal und ${minutesOf(minutes)} lang.`,
  not_you:
    "Haben Sie ihn nicht angefordert, brauchen Sie nichts zu tun. Geben Sie den Code niemandem. Wir fragen nie danach.",
  link: "Auf diesem Gerät anmelden",
  sms_lifetime: (minutes) => `Er gilt ${minutesOf(minutes)} lang.`,
};

/**
 * Every page as somebody meets it who hears it and uses the keyboard: its language and name, a label for each field,
 * errors where they belong.
 */
import { createHash } from "node:crypto";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import {
  addClient,
  basic,
  call,
  createTenant,
  inbox,
  type Latchkey,
  startLatchkey,
  type Tenant,
  type TestClient,
} from "../support/latchkey.ts";
import { addPerson, logInAccountUser, oneTimePassword } from "../support/people.ts";
import { type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer, type Shown, type Surfer } from "../support/surfer.ts";
import { letCodesRest } from "../support/time.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const LANGUAGE = "en";

interface Tag {
  readonly name: string;
  readonly attributes: Readonly<Record<string, string>>;
}

function tagsIn(html: string): readonly Tag[] {
  const tags = html.matchAll(/<([a-z][a-z0-9]*)((?:\s+[a-z-]+(?:="[^"]*")?)*)\s*>/g);
  return [...tags].map(([, name = "", text = ""]) => ({
    name,
    attributes: Object.fromEntries(
      [...text.matchAll(/([a-z-]+)(?:="([^"]*)")?/g)].map(([, key, value = ""]) => [key, value]),
    ),
  }));
}

/** What elements of this kind hold. */
const insideOf = (html: string, name: string) =>
  [...html.matchAll(new RegExp(`<${name}(?:\\s[^>]*)?>(.*?)</${name}>`, "gs"))].map(([, inner = ""]) => inner);

/** … as it is read out. */
const textsIn = (html: string, name: string) =>
  insideOf(html, name).map((inner) => inner.replace(/<[^>]*>/g, "").trim());

const repeated = (all: readonly string[]) => all.filter((one, index) => all.indexOf(one) !== index);

/** The names of buttons, as a list of them is read out. */
function buttonsIn(html: string): readonly string[] {
  const textOf = (id: string) =>
    new RegExp(`<([a-z]+\\d?)[^>]* id="${id}"[^>]*>(.*?)</\\1>`, "s").exec(html)?.[2]?.replace(/<[^>]*>/g, "") ?? "";
  return [...html.matchAll(/<button([^>]*)>(.*?)<\/button>/gs)].map(([, attributes = "", text = ""]) => {
    const [, by] = /aria-labelledby="([^"]*)"/.exec(attributes) ?? [];
    return by === undefined ? text : by.split(" ").map(textOf).join(" ");
  });
}

/** What is in somebody's way on a page. */
function faultsOf({ html, headers }: Shown): readonly string[] {
  const tags = tagsIn(html);
  const all = (name: string) => tags.filter((tag) => tag.name === name);
  const faults: (string | false)[] = [];
  const [title = ""] = textsIn(html, "title");
  const headings = textsIn(html, "h1");
  faults.push(all("html")[0]?.attributes.lang !== LANGUAGE && "its language");
  faults.push(all("title").length !== 1 && "not one title", all("main").length !== 1 && "not one main part");
  faults.push((headings.length !== 1 || !headings[0] || !title.startsWith(headings[0])) && `headings: ${headings}`);
  faults.push(/maximum-scale|user-scalable/.test(html) && "it cannot be enlarged");
  const ids = tags.flatMap(({ attributes: { id } }) => id ?? []);
  faults.push(...repeated(ids).map((id) => `two of ${id}`));
  faults.push(...all("img").map(({ attributes: { alt } }) => alt === undefined && "an image without alt"));
  for (const name of ["button", "a", "label", "summary", "li"])
    faults.push(...textsIn(html, name).map((text) => text === "" && `an empty ${name}`));
  const labelled = all("label").flatMap(({ attributes }) => attributes.for ?? []);
  faults.push(...labelled.map((id) => !ids.includes(id) && `a label of nothing: ${id}`));
  const fields = all("input").filter(({ attributes: { type } }) => type !== "hidden");
  const named = all("button").flatMap(({ attributes }) => attributes["aria-labelledby"]?.split(" ") ?? []);
  faults.push(...named.map((id) => !ids.includes(id) && `a button named by nothing: ${id}`));
  faults.push(...repeated(buttonsIn(html)).map((name) => `two buttons called ${name}`));
  const idsOf = (wanted: string) =>
    tags.filter(({ attributes: { role } }) => role === wanted).flatMap(({ attributes: { id } }) => id ?? "");
  const [alerts, notices] = [idsOf("alert"), idsOf("status")];
  for (const { attributes } of fields) {
    faults.push(!labelled.includes(attributes.id ?? "") && `no label for ${attributes.name}`);
    const told = [attributes["aria-describedby"], attributes["aria-invalid"]];
    const at_fault =
      !html.includes("Too many requests.") &&
      (attributes.name !== "identifier" || html.includes("Enter an e-mail address or a phone number."));
    const hint = attributes.name === "code" && ids.find((id) => id === "hint");
    const about = [alerts[0] ?? notices[0], hint].filter((id) => id !== undefined && id !== false).join(" ");
    const expected = [about || undefined, alerts.length > 0 && at_fault ? "true" : undefined];
    faults.push(`${told}` !== `${expected}` && `${attributes.name} does not say what is wrong`);
  }
  return [...faults, ...policyFaults(tags, html, headers)].filter((fault) => fault !== false);
}

/** Only what the policy names runs and looks like anything. */
function policyFaults(tags: readonly Tag[], html: string, headers: Headers): readonly (string | false)[] {
  const policy = headers.get("content-security-policy") ?? "";
  const source = (directive: string) => new RegExp(`${directive} '([^']+)'`).exec(policy)?.[1];
  const styles = tags.filter(({ name }) => name === "style").map(({ attributes: { nonce } }) => `nonce-${nonce}`);
  const scripts = insideOf(html, "script").map(
    (text) => `sha256-${createHash("sha256").update(text).digest("base64")}`,
  );
  const inline = tags
    .flatMap(({ attributes }) => Object.keys(attributes))
    .filter((name) => /^(style|on.*)$/.test(name));
  return [
    !/default-src 'none'/.test(policy) && "no policy",
    styles.some((one) => one !== source("style-src")) && "a style without the nonce",
    scripts.some((one) => one !== source("script-src")) && "a script that the policy does not name",
    inline.length > 0 && `inline: ${inline}`,
  ];
}

// The engine has no part in how a page is written.
describe("a page", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let client: TestClient;
  let standard: StandardClient;
  beforeAll(async () => {
    latchkey = await startLatchkey("sqlite");
    const [terms_uri, privacy_uri] = ["https://shop.example/terms", "https://shop.example/privacy"];
    const brand = { logo_uri: "https://shop.example/logo.svg", colour: "#7a1f4b", terms_uri, privacy_uri };
    tenant = await createTenant(latchkey, { settings: { brand } });
    client = await addClient(latchkey, tenant.account_id, {
      grant_types: ["authorization_code", DEVICE],
      signup: true,
    });
    const oidc = { client_id: "x", client_secret: "x", authority: "https://accounts.elsewhere.example" };
    const grant = { client_id: client.id, audience: "https://o.example", scope: [], type: "authorization_code", oidc };
    await call(`${tenant.base}/auth/client-grants`, { method: "POST", token: tenant.token, json: grant });
    standard = standardClient(latchkey, tenant, client);
  });
  afterAll(() => latchkey.close());

  const newest = async (to: string) => (await inbox(tenant, to))[0]?.verification_code ?? "";
  const wrong = (code: string) => (code === "000000" ? "000001" : "000000");
  const first = (surfer: Surfer, more: Record<string, string> = {}) =>
    surfer.visit(standard.address(client, { scope: "openid email", ...more }));
  const ask = async (surfer: Surfer, email: string) =>
    surfer.act(await first(surfer), "identify", { identifier: email });
  const enter = async (surfer: Surfer, email: string) =>
    surfer.act(await ask(surfer, email), "code", { code: await newest(email) });
  const guarded = async (surfer: Surfer) => {
    const person = await addPerson(latchkey, tenant.account_id, { factors: ["sms"] });
    return { person, page: await enter(surfer, person.email) };
  };
  const agreed = async (surfer: Surfer) => {
    const email = await standard.someone();
    await surfer.logIn(standard.address(client, { prompt: "login", scope: "openid email" }), tenant, email);
  };
  const device = async (surfer: Surfer, path: string, form?: Record<string, string>) =>
    surfer.visit(`${tenant.issuer}/device${path}`, form);
  const userCode = async () => {
    const asking = { method: "POST", headers: { authorization: basic(client) }, form: { scope: "openid" } };
    return (await call(`${tenant.base}/oauth/device_authorization`, asking)).body.user_code;
  };
  const sandbox = async (surfer: Surfer) => {
    const { email } = await logInAccountUser(latchkey, tenant, { scope: ["admin:accounts"] });
    const waiting = await surfer.act(await surfer.visit(`${tenant.issuer}/sandbox`, {}), "identify", {
      identifier: email,
    });
    return surfer.act(waiting, "code", { code: await newest(email) });
  };
  /** Acts until the answer is that this was too often. */
  const tooOften = async (surfer: Surfer, page: Shown, action: string, fields: Record<string, string> = {}) => {
    let shown = page;
    for (let n = 0; n < 12 && !shown.html.includes("Too many requests."); n++) {
      shown = await surfer.act(shown, action, fields);
      await letCodesRest(latchkey, tenant.account_id, 30);
    }
    return shown;
  };
  const app = async (surfer: Surfer) => {
    const me = await logInAccountUser(latchkey, tenant);
    const totp = (method: string, json?: object) =>
      call(`${latchkey.url}/v1/account/user/mfa/totp`, { method, token: me.token, ...(json ? { json } : {}) });
    const otp = oneTimePassword((await totp("POST")).body.secret);
    await totp("PUT", { otp });
    const page = await surfer.act(await surfer.visit(standard.address(me.client)), "identify", {
      identifier: me.email,
    });
    const asked = await surfer.act(page, "code", { code: await newest(me.email) });
    return surfer.act(asked, "factor", { code: otp });
  };

  const pages: Readonly<Record<string, readonly [heading: string, open: (surfer: Surfer) => Promise<Shown>]>> = {
    "to log in": ["Log in to", (surfer) => first(surfer)],
    "to log in, after a mistake": ["Log in to", (surfer) => ask(surfer, "nonsense")],
    "to sign up": ["Create an account at", (surfer) => first(surfer, { prompt: "create" })],
    "for the code": ["Enter the code", async (surfer) => ask(surfer, await standard.someone())],
    "for the code, after a wrong one": [
      "Enter the code",
      async (surfer) => {
        const email = await standard.someone();
        const waiting = await ask(surfer, email);
        return surfer.act(waiting, "code", { code: wrong(await newest(email)) });
      },
    ],
    "for the code, asked for once more": [
      "Enter the code",
      async (surfer) => surfer.act(await ask(surfer, await standard.someone()), "resend"),
    ],
    "for the code, after a message too many": [
      "Enter the code",
      async (surfer) => {
        const email = await standard.someone();
        const waiting = await ask(surfer, email);
        for (let n = 0; n < 4; n++) await ask(openSurfer(latchkey), email);
        return surfer.act(await surfer.act(waiting, "code", { code: "x" }), "resend");
      },
    ],
    "to choose a second factor": ["One more step", async (surfer) => (await guarded(surfer)).page],
    "for the second factor, after a wrong one": [
      "One more step",
      async (surfer) => {
        const { person, page } = await guarded(surfer);
        const asked = await surfer.act(page, "challenge", { channel: "sms" });
        return surfer.act(asked, "factor", { code: wrong(await newest(person.phone_number)) });
      },
    ],
    "for the second factor, after a message too many": [
      "One more step",
      async (surfer) => tooOften(surfer, (await guarded(surfer)).page, "challenge", { channel: "sms" }),
    ],
    "for an app's password, after a used one": ["One more step", app],
    "to choose a person": [
      "Who are you?",
      async (surfer) => {
        for (let n = 0; n < 2; n++) await agreed(surfer);
        return first(surfer);
      },
    ],
    "for consent": ["The Shop wants to", async (surfer) => enter(surfer, await standard.someone())],
    "for a device": ["Connect a device", (surfer) => device(surfer, "?user_code=BBBB-BBBB")],
    "for a device, after a wrong code": [
      "Connect a device",
      (surfer) => device(surfer, "", { user_code: "BBBB-BBBB" }),
    ],
    "for a device's login": ["Log in to", async (surfer) => device(surfer, "", { user_code: await userCode() })],
    "for a device that is connected": ["The device is connected", (surfer) => device(surfer, "?done=yes")],
    "for a device that was turned away": ["The device was refused", (surfer) => device(surfer, "?error=access_denied")],
    "for a device that waits no more": ["Look at the device", (surfer) => device(surfer, "?error=invalid_request")],
    "of consents": [
      "Apps and browsers",
      async (surfer) => {
        await agreed(surfer);
        const other = await addClient(latchkey, tenant.account_id);
        await call(`${tenant.base}/auth/clients/${other.id}`, {
          method: "PATCH",
          token: tenant.token,
          json: { name: "The Other Shop" },
        });
        const page = await surfer.visit(standard.address(other));
        await surfer.act(page, "allow");
        const consents = await surfer.visit(`${tenant.issuer}/login/consents`);
        expect(buttonsIn(consents.html)).toEqual(expect.arrayContaining(["Remove The Shop", "Remove The Other Shop"]));
        return consents;
      },
    ],
    "of no consents": ["Apps and browsers", (surfer) => surfer.visit(`${tenant.issuer}/login/consents`)],
    "of the browsers of several people": [
      "Apps and browsers",
      async (surfer) => {
        const people = [await standard.someone(), await standard.someone()];
        for (const [index, email] of [...people, ...people].entries()) {
          // The latter two are elsewhere.
          const where = index < people.length ? surfer : openSurfer(latchkey);
          await where.logIn(standard.address(client, { prompt: "login" }), tenant, email);
        }
        const consents = await surfer.visit(`${tenant.issuer}/login/consents`);
        const names = buttonsIn(consents.html);
        for (const email of people) {
          expect(names).toContain(`Log out everywhere else ${email}`);
          expect(names.filter((name) => name.startsWith("Log out there Another browser Logged in: 20"))).toHaveLength(
            2,
          );
          expect(names.filter((name) => name.startsWith("Log out This browser") && name.endsWith(email))).toHaveLength(
            1,
          );
        }
        const [form] = consents.html.split('value="others"').slice(0, 1);
        const session = /.*name="session" value="([^"]+)"/s.exec(form ?? "")?.[1] ?? "";
        const done = await surfer.visit(consents.url, { session, browser: "others" });
        expect(buttonsIn(done.html).filter((name) => name.startsWith("Log out there"))).toHaveLength(1);
        return done;
      },
    ],
    "about an error": ["This did not work", (surfer) => surfer.visit(`${tenant.issuer}/login?request=gone`)],
    "about a client's error": [
      "This did not work",
      (surfer) => surfer.visit(standard.address({ client_id: "nobody" })),
    ],
    "to log out": [
      "Log out?",
      async (surfer) => {
        await agreed(surfer);
        return surfer.visit(`${tenant.issuer}/oauth/logout`);
      },
    ],
    "after staying": [
      "You are still logged in",
      async (surfer) => {
        await agreed(surfer);
        return surfer.visit(`${tenant.issuer}/oauth/logout`, { confirm: "no" });
      },
    ],
    "at a wrong address": ["This did not work", (surfer) => surfer.visit(`${tenant.issuer}/devices`)],
    "after logging out": ["You are logged out", (surfer) => surfer.visit(`${tenant.issuer}/oauth/logout`)],
    "of the sandbox": ["Sandbox inbox", (surfer) => surfer.visit(`${tenant.issuer}/sandbox`)],
    "of the sandbox's messages": ["Sandbox inbox", sandbox],
  };

  it("asks in the heading, and answers on the button", async () => {
    const surfer = openSurfer(latchkey);
    await agreed(surfer);
    const { html } = await surfer.visit(`${tenant.issuer}/oauth/logout`);
    expect([textsIn(html, "h1"), textsIn(html, "button")]).toEqual([["Log out?"], ["Log out", "Stay logged in"]]);
  });

  it.each(Object.entries(pages))("%s is in nobody's way", async (name, [heading, open]) => {
    const shown = await open(openSurfer(latchkey));
    expect(textsIn(shown.html, "h1")[0], shown.html).toContain(heading);
    expect(shown.html.includes('role="alert"')).toBe(/after a/.test(name));
    expect(faultsOf(shown)).toEqual([]);
  });

  it("that is in somebody's way would be noticed", async () => {
    const { html, headers } = await ask(openSurfer(latchkey), "nonsense");
    const damages: readonly (readonly [RegExp, string, string])[] = [
      [/ lang="en"/, "", "its language"],
      [/<h1>.*?<\/h1>/, "", "headings: "],
      [/ for="identifier"/, "", "no label for identifier"],
      [/ aria-describedby="problem"/, "", "identifier does not say what is wrong"],
      [/ alt=""/, "", "an image without alt"],
      [/<main>/, '<main style="color:red">', "inline: style"],
      [/<style nonce="/, '<style nonce="x', "a style without the nonce"],
      [/let sent/, "let other", "a script that the policy does not name"],
    ];
    for (const [part, replaced, fault] of damages) {
      expect(html, `${part}`).toMatch(part);
      expect(faultsOf({ status: 200, url: "", html: html.replace(part, replaced), headers })).toEqual([fault]);
    }
  });
});

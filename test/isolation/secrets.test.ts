/** Nothing that Latchkey issued or was given in confidence is found in its database, logs, traces or error replies. */
import { createHash, randomBytes } from "node:crypto";
import { afterAll, beforeAll, expect, it } from "vitest";
import { openLogger } from "../../src/telemetry/log.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  askForCode,
  authorize,
  basic,
  CALLBACK,
  call,
  createTenant,
  inbox,
  type Latchkey,
  MASTER_KEY,
  mintCode,
  newAccountId,
  type Reply,
  receiveCode,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { findLeaks, readDatabase, readFiles } from "../support/leaks.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { codeIn, type Mailbox, openMailbox, until } from "../support/smtp.ts";

describeOnBothEngines("secrets", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let mailbox: Mailbox;
  let collector: Receiver;
  let provider: Receiver;
  const logs: string[] = [];
  const issued = new Map<string, string>();
  const errors: string[] = [];

  function note(what: string, value: string): string {
    expect(value, what).not.toBe("");
    issued.set(value, what);
    return value;
  }

  function refused(reply: Reply): Reply {
    expect(reply.status).toBeGreaterThanOrEqual(400);
    errors.push(reply.text, JSON.stringify([...reply.headers]));
    return reply;
  }

  beforeAll(async () => {
    mailbox = await openMailbox();
    await mailbox.start();
    collector = await openReceiver();
    provider = await openReceiver();
    const webhook_secret = note("webhook secret", randomBytes(24).toString("hex"));
    latchkey = await startLatchkey(engine, {
      log: openLogger("trace", { write: (line) => void logs.push(line) }),
      env: {
        SMTP_URL: mailbox.url,
        MAIL_FROM: "login@latchkey.example",
        SMS_URL: `http://:${webhook_secret}@127.0.0.1:${provider.port}/sms`,
        EGRESS_ALLOW: "127.0.0.1/32",
        OTEL_EXPORTER_OTLP_ENDPOINT: collector.url,
      },
    });
    note("master key", MASTER_KEY);
    tenant = await createTenant(latchkey, {
      account_id: newAccountId("P"),
      client: { code_format: "numeric" },
      settings: { numeric_code_length: 9 },
    });
    note("client secret", tenant.client.client_secret);
    note("access token", tenant.token);
  });
  afterAll(async () => {
    await latchkey.database.drop();
    await mailbox.stop();
    await collector.close();
    await provider.close();
  });

  it("are where they belong, and nowhere else", async () => {
    const test = await createTenant(latchkey);
    note("client secret", test.client.client_secret);
    note("access token", test.token);

    // Codes of every format, by every way out.
    await askForCode(tenant);
    const mail = await until("the mail", () => mailbox.mails[0]);
    expect(note("numeric code", codeIn(mail))).toMatch(/^\d{9}$/);
    await askForCode(tenant, { connection: "sms", phone_number: tenant.user.phone_number });
    await until("the SMS", () => provider.all[0]);
    const typable = note("typable code", await receiveCode(test));
    const long = await addClient(latchkey, test.account_id, { code_format: "numeric" });
    const asked = await askForCode(test, { client: { ...long }, audience: test.audience });
    expect(asked.status).toBe(403);
    // What they are worth, and what is refused for them.
    const redirected = await authorize(test, { verification_code: typable, response_type: "token", scope: "openid" });
    const fragment = new URLSearchParams(new URL(redirected.headers.get("location") ?? "").hash.slice(1));
    note("person's access token", fragment.get("access_token") ?? "");
    note("ID token", fragment.get("id_token") ?? "");
    refused(await authorize(test, { verification_code: typable }));
    const link = note("link code", await mintCode(test, { format: "link" }));
    const minted = note("minted code", await mintCode(test));
    refused(await authorize(test, { verification_code: note("wrong code", "WRONG-WRXNG") }));
    refused(await authorize(test, { verification_code: minted, redirect_uri: "https://evil.example" }));
    refused(await authorize(test, { verification_code: minted, audience: "https://nobody.example" }));
    refused(await authorize(test, { verification_code: minted, response_type: "nonsense" }));
    refused(await authorize(test, { verification_code: `${minted}\0` }));

    // An authorization code, redeemed and redeemed again.
    const code_verifier = note("PKCE verifier", randomBytes(32).toString("base64url"));
    const code_challenge = createHash("sha256").update(code_verifier).digest("base64url");
    const pkce = { code_challenge, code_challenge_method: "S256" };
    const coded = await authorize(test, { verification_code: link, response_type: "code", ...pkce });
    const code = note(
      "authorization code",
      new URL(coded.headers.get("location") ?? "").searchParams.get("code") ?? "",
    );
    const redeem = () =>
      call(`${test.base}/oauth/token`, {
        method: "POST",
        headers: { authorization: basic(test.client) },
        form: { grant_type: "authorization_code", code, redirect_uri: CALLBACK, code_verifier },
      });
    note("access token", (await redeem()).body.access_token);
    refused(await redeem());

    // Credentials that are wrong, misplaced or garbled.
    const password = note("wrong secret", randomBytes(24).toString("base64url"));
    refused(
      await call(`${test.base}/auth/token`, {
        method: "POST",
        headers: { authorization: basic({ client_id: test.client.client_id, client_secret: password }) },
        json: { grant_type: "client_credentials", audience: test.issuer },
      }),
    );
    refused(await call(`${test.base}/auth/clients`, { token: `${test.token}x` }));
    refused(await call(`${test.base}/nowhere/${password}?verification_code=${password}`, { token: test.token }));
    refused(
      await call(`${test.base}/auth/clients`, { method: "POST", token: test.token, raw: `{"name": "${password}` }),
    );

    // A new secret, and a client whose upstream secret is kept.
    const rotated = await call(`${test.base}/auth/clients/${long.id}/rotate-secret`, {
      method: "POST",
      token: test.token,
    });
    note("rotated secret", rotated.body.client_secret);
    const oidc_secret = note("upstream secret", randomBytes(24).toString("base64url"));
    const oidc = { authority: "https://login.example", client_id: "x", client_secret: oidc_secret };
    const granted = await call(`${test.base}/auth/client-grants`, {
      method: "POST",
      token: test.token,
      json: { client_id: long.id, audience: "https://a.example", scope: [], type: "authorization_code", oidc },
    });
    expect(granted.status, granted.text).toBe(200);
    expect((await inbox(test)).length).toBeGreaterThan(0);

    const { storage } = latchkey.server.core;
    const places = new Map([
      ["the database", await readDatabase(storage)],
      ["error replies", errors.join("\n")],
    ]);
    for (const [path, text] of readFiles(latchkey.database)) places.set(path, text);
    // A database that fails under a request that carries a code.
    const last = note("code beside a failure", await mintCode(test));
    await storage.close();
    const failed = refused(await authorize(test, { verification_code: last }));
    expect(failed.status).toBeGreaterThanOrEqual(500);
    await latchkey.server.stop().catch(() => {});
    places.set("logs", logs.join("\n"));
    places.set("traces", collector.all.map(({ body }) => body).join("\n"));
    places.set("error replies", errors.join("\n"));

    expect(places.get("logs")).toContain("/v1/accounts/:oid/auth/authorize");
    expect(places.get("traces")).toContain("POST /v1/accounts/:oid/auth/authorize");
    expect(places.get("traces")).toContain("redeem_code");
    expect(issued.size).toBeGreaterThan(15);
    expect(findLeaks(issued, places)).toEqual([]);
  });
});

/** Clients that a document describes: what it says counts as long as it says so, and asking for it costs little. */
import { randomUUID } from "node:crypto";
import { type CryptoKey, exportJWK, generateKeyPair, SignJWT } from "jose";
import { afterAll, beforeAll, expect, it } from "vitest";
import { changeSettings } from "../../src/directory/accounts/change-settings.ts";
import { changeClient } from "../../src/directory/clients/change-client.ts";
import { findClient } from "../../src/directory/clients/find-client.ts";
import { KEPT } from "../../src/oauth/registration/registration.ts";
import { registrationSweep } from "../../src/oauth/registration/sweep.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { actor, call, createTenant, inbox, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { openReceiver, type Receiver } from "../support/receiver.ts";
import { answered, pkce, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";
import { letPass } from "../support/time.ts";

const BACK = "https://agent.example/back";
const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const ASSERTION = "urn:ietf:params:oauth:client-assertion-type:jwt-bearer";

describeOnBothEngines("clients that a document describes", (engine) => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let web: Receiver;
  const documents = new Map<string, object>();
  const headers = new Map<string, Readonly<Record<string, string>>>();
  let time = 0;
  beforeAll(async () => {
    web = await openReceiver(({ path }) => {
      const document = documents.get(path);
      return document ? [200, JSON.stringify(document), headers.get(path) ?? {}] : [404, "{}"];
    });
    latchkey = await startLatchkey(engine, { env: { EGRESS_ALLOW: "127.0.0.0/8" }, monotonic: () => time });
    tenant = await createTenant(latchkey);
  });
  afterAll(async () => {
    await latchkey.close();
    await web.close();
  });

  const describe = (path: string, more: object = {}) => {
    const client_id = `${web.url}${path}`;
    documents.set(path, { client_id, redirect_uris: [BACK], ...more });
    return client_id;
  };
  const authorize = (client_id: string, at = tenant) => {
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid", ...pkce };
    return openSurfer(latchkey).visit(`${at.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
  };
  const asked = (path: string) => web.all.filter((one) => one.path === path).length;
  const post = (path: string, form: Record<string, string>) =>
    call(`${tenant.base}/oauth/${path}`, { method: "POST", form });
  /** As after its time. */
  const outdate = () =>
    latchkey.server.core.storage.write(
      async ({ db }) =>
        void (await db.updateTable("client_registrations").set({ fresh_until: "2020-01-01T00:00:00.000Z" }).execute()),
    );
  const redeem = async (client_id: string) => {
    const code = { grant_type: "authorization_code", code: "x", redirect_uri: BACK };
    const { status, body } = await post("token", { ...code, client_id });
    return [status, body.error];
  };

  it("are named by their address wherever a client can be named, however long it is", async () => {
    const own = await createTenant(latchkey);
    const client_id = describe(`/oauth/clients/${"desktop-".repeat(20)}application.json`);
    expect((await authorize(client_id, own)).status).toBeLessThan(400);
    const { audience, base, token, user } = own;
    const post = (path: string, json: object) => call(`${base}/auth/${path}`, { method: "POST", token, json });
    const granted = await post("client-grants", { client_id, audience, scope: [], type: "authorization_code" });
    expect(granted.status, granted.text).toBe(200);
    const found = await call(`${base}/auth/client-grants`, { token, query: { client_id } });
    expect(found.body[0]?.id).toBe(granted.body.id);
    const asked = await post("passwordless", { client_id, audience, connection: "email", email: user.email });
    expect(asked.status, asked.text).toBe(204);
  });

  it("get nobody any more, neither from a login under way nor from a logout, once the account takes no such clients", async () => {
    const own = await createTenant(latchkey);
    const bye = "https://agent.example/bye";
    const client_id = describe("/gone.json", { post_logout_redirect_uris: [bye] });
    const surfer = openSurfer(latchkey);
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid", ...pkce };
    const first = await surfer.visit(`${own.issuer}/oauth/authorize?${new URLSearchParams(about)}`);
    const waiting = await surfer.act(first, "identify", { identifier: own.user.email });
    const [mail] = await inbox(own, own.user.email);
    const asking = await surfer.act(waiting, "code", { code: mail?.verification_code ?? "" });
    expect(asking.html).toContain('value="allow"');
    const settings = (client_id_metadata_documents: boolean) =>
      changeSettings(latchkey.server.core.directory, own.account_id, { client_id_metadata_documents }, actor);
    await settings(false);
    const allowed = await surfer.act(asking, "allow");
    expect([allowed.status, allowed.url.startsWith(BACK)]).toEqual([400, false]);
    const leaving = { client_id, post_logout_redirect_uri: bye, confirm: "yes" };
    const left = await surfer.visit(`${own.issuer}/oauth/logout`, leaving);
    expect([left.status, left.url.startsWith(bye)]).toEqual([400, false]);
  });

  it("keep what they may have of the grants and responses that they name, since they say the same to every server", async () => {
    // How many new ones come from one address is limited.
    const at = await createTenant(latchkey);
    const code = ["authorization_code", "refresh_token"];
    const client_id = describe("/eager.json", {
      grant_types: [...code, "urn:ietf:params:oauth:grant-type:jwt-bearer", DEVICE],
      response_types: ["code", "code id_token"],
      token_endpoint_auth_method: "none",
    });
    const shown = await authorize(client_id, at);
    expect(shown.status, shown.html).toBe(200);
    const { settings } = await findClient(latchkey.server.core.directory, at.account_id, client_id);
    expect([settings.grant_types, settings.response_types]).toEqual([code, ["code"]]);
    const devices = [{ grant_types: [DEVICE] }, { grant_types: [DEVICE, "refresh_token"] }];
    const others = { grant_types: ["urn:ietf:params:oauth:grant-type:jwt-bearer"] };
    const useless = [...devices, others, { response_types: ["id_token"] }];
    for (const [n, more] of useless.entries())
      expect((await authorize(describe(`/useless-${n}.json`, more), at)).status, JSON.stringify(more)).toBe(400);
  });

  it("belong to no sector that its document names", async () => {
    const sector_identifier_uri = `${web.url}/sector`;
    documents.set("/sector", [BACK]);
    const client_id = describe("/sector.json", { subject_type: "pairwise", sector_identifier_uri });
    expect((await authorize(client_id)).html).toContain("sector_identifier_uri");
    expect(asked("/sector")).toBe(0);
    const stored = describe("/stored.json", { subject_type: "pairwise" });
    expect((await authorize(stored)).status).toBe(200);
    const { directory } = latchkey.server.core;
    const known = () => findClient(directory, tenant.account_id, stored);
    await changeClient(directory, await known(), () => ({ settings: { sector_identifier_uri } }), actor);
    expect((await authorize(stored)).status).toBe(200);
    expect((await known()).settings.sector_identifier_uri, "said by a document before").toBeNull();
    describe("/stored.json", { subject_type: "pairwise", backchannel_logout_uri: "x" });
    await outdate();
    expect((await authorize(stored)).html).toContain("backchannel_logout_uri");
  });

  it("authenticate by the keys that the document names now, at every endpoint", async () => {
    const [old, fresh] = [await generateKeyPair("ES256"), await generateKeyPair("ES256")];
    const described = async (kid: string, key: CryptoKey) => ({
      token_endpoint_auth_method: "private_key_jwt",
      jwks: { keys: [{ ...(await exportJWK(key)), kid, alg: "ES256" }] },
    });
    const client_id = describe("/keys.json", await described("1", old.publicKey));
    const prove = async (kid: string, key: CryptoKey) => {
      const assertion = await new SignJWT({ jti: randomUUID() })
        .setProtectedHeader({ alg: "ES256", kid })
        .setIssuer(client_id)
        .setSubject(client_id)
        .setAudience(tenant.issuer)
        .setExpirationTime("1m")
        .sign(key);
      const form = { token: "x", client_assertion: assertion, client_assertion_type: ASSERTION };
      const { status, body } = await post("introspect", form);
      return [status, body.error];
    };
    await authorize(client_id);
    expect(await prove("1", old.privateKey)).toEqual([200, undefined]);
    describe("/keys.json", await described("2", fresh.publicKey));
    expect(await prove("1", old.privateKey), "believed for its time").toEqual([200, undefined]);
    await outdate();
    expect(await prove("1", old.privateKey), "withdrawn").toEqual([401, "invalid_client"]);
    expect(await prove("2", fresh.privateKey), "new, without any login").toEqual([200, undefined]);
    documents.delete("/keys.json");
    await outdate();
    expect(await prove("2", fresh.privateKey), "gone").toEqual([401, "invalid_client"]);
  });

  it("are called back at any port of their own machine, also where they prove themselves by a key", async () => {
    const { publicKey } = await generateKeyPair("ES256");
    const jwks = { keys: [{ ...(await exportJWK(publicKey)), kid: "1", alg: "ES256" }] };
    const proof = { token_endpoint_auth_method: "private_key_jwt", jwks };
    const client_id = describe("/native.json", { ...proof, redirect_uris: ["http://localhost/cb"] });
    const status = async (redirect_uri: string) => {
      const about = { client_id, redirect_uri, response_type: "code", scope: "openid", ...pkce };
      return (await openSurfer(latchkey).visit(`${tenant.issuer}/oauth/authorize?${new URLSearchParams(about)}`))
        .status;
    };
    expect(await status("http://localhost:5123/cb")).toBe(200);
    expect(await status("http://localhost:5123/other")).toBe(400);
  });

  it("are no clients any more once the document is gone, or the account takes none", async () => {
    const client_id = describe("/gone.json");
    await authorize(client_id);
    expect(await redeem(client_id)).toEqual([400, "invalid_grant"]);
    documents.delete("/gone.json");
    await outdate();
    expect(await redeem(client_id)).toEqual([401, "invalid_client"]);
    const kept = describe("/kept.json");
    await authorize(kept);
    const { directory } = latchkey.server.core;
    const { id } = await findClient(directory, tenant.account_id, kept);
    const push = async () => {
      const { status, body } = await post("par", {
        client_id: kept,
        redirect_uri: BACK,
        response_type: "code",
        ...pkce,
      });
      return { ...body, outcome: [status, body.error] };
    };
    expect((await push()).outcome).toEqual([201, undefined]);
    const { request_uri } = await push();
    const bring = () =>
      openSurfer(latchkey).visit(
        `${tenant.issuer}/oauth/authorize?${new URLSearchParams({ client_id: kept, request_uri })}`,
      );
    await changeSettings(directory, tenant.account_id, { client_id_metadata_documents: false }, actor);
    for (const name of [kept, id]) {
      expect((await authorize(name)).html, name).toContain("no such client");
      expect(await redeem(name), name).toEqual([401, "invalid_client"]);
    }
    expect((await push()).outcome).toEqual([401, "invalid_client"]);
    expect((await bring()).status, "pushed before").toBe(400);
    await changeSettings(directory, tenant.account_id, { client_id_metadata_documents: true }, actor);
    expect((await bring()).status, "not spent").toBe(200);
    expect(await redeem(kept)).toEqual([400, "invalid_grant"]);
  });

  it("stay deleted once the account has deleted them, also when nobody has used them for a month", async () => {
    const { directory } = latchkey.server.core;
    const [client_id, unused] = [describe("/deleted.json"), describe("/unused.json")];
    for (const id of [client_id, unused]) expect((await authorize(id)).status, id).toBe(200);
    const { id } = await findClient(directory, tenant.account_id, client_id);
    const url = `${tenant.base}/auth/clients/${id}`;
    expect((await call(url, { method: "DELETE", token: tenant.token })).status).toBe(200);
    const before = asked("/deleted.json");
    const isRefused = async (when: string) => {
      const { status, html } = await authorize(client_id);
      expect([status, html.includes("no such client")], when).toEqual([400, true]);
      expect(await redeem(client_id), when).toEqual([401, "invalid_client"]);
    };
    await isRefused("at once");
    await letPass(latchkey, "client_registrations", tenant.account_id, KEPT / 1_000 + 60, ["expires_at"]);
    await registrationSweep(directory).sweep(directory.storage, 100);
    await isRefused("a month later");
    expect(asked("/deleted.json"), "for its document").toBe(before);
    expect((await authorize(unused)).status, "one that only nobody used").toBe(200);
    expect(asked("/unused.json"), "swept, and read anew").toBe(2);
  });

  it("refresh at oauth/token as long as they are clients, and no longer, and nowhere else", async () => {
    const { directory } = latchkey.server.core;
    const own = await createTenant(latchkey);
    const set = (settings: Parameters<typeof changeSettings>[2]) =>
      changeSettings(directory, own.account_id, settings, actor);
    await set({ public_client_grants: { [own.issuer]: ["user:customers"] } });
    const logIn = async (client_id: string) => {
      const about = {
        client_id,
        redirect_uri: BACK,
        response_type: "code",
        scope: "openid offline_access user:customers",
      };
      const query = new URLSearchParams({ ...about, ...pkce, resource: own.issuer });
      const shown = await openSurfer(latchkey).logIn(`${own.issuer}/oauth/authorize?${query}`, own);
      const form = { grant_type: "authorization_code", client_id, redirect_uri: BACK, code_verifier: VERIFIER };
      const code = answered(shown).get("code") ?? "";
      const { body, text } = await call(`${own.base}/oauth/token`, { method: "POST", form: { ...form, code } });
      expect(body.refresh_token, text).toBeTruthy();
      return body;
    };
    const refresh = async (client_id: string, { refresh_token }: { refresh_token: string }) => {
      const form = { grant_type: "refresh_token", client_id, refresh_token };
      const reply = await call(`${own.base}/oauth/token`, { method: "POST", form });
      return { ...reply.body, outcome: [reply.status, reply.body?.error] };
    };
    const more = { grant_types: ["authorization_code", "refresh_token"] };
    const [kept, gone] = [describe("/refreshing.json", more), describe("/refreshing-gone.json", more)];
    const [first, other] = [await logIn(kept), await logIn(gone)];
    const json = { grant_type: "refresh_token", refresh_token: first.refresh_token };
    const there = await call(`${own.base}/auth/token`, { method: "POST", token: first.access_token, json });
    expect([there.status, there.body.error?.code]).toEqual([403, "unauthorized_client"]);
    const next = await refresh(kept, first);
    documents.delete("/refreshing-gone.json");
    await outdate();
    expect((await refresh(gone, other)).outcome, "its document is gone").toEqual([401, "invalid_client"]);
    await set({ client_id_metadata_documents: false });
    expect((await refresh(kept, next)).outcome, "the account takes none").toEqual([401, "invalid_client"]);
    await set({ client_id_metadata_documents: true });
    expect((await refresh(kept, next)).outcome, "nothing was spent").toEqual([200, undefined]);
  });

  it("send a person on only to where the document says now, and to nowhere once they are no clients", async () => {
    const own = await createTenant(latchkey);
    const { directory } = latchkey.server.core;
    const set = (settings: Parameters<typeof changeSettings>[2]) =>
      changeSettings(directory, own.account_id, settings, actor);
    await set({ public_client_grants: { [own.issuer]: ["user:customers"] } });
    const client_id = describe("/sending.json");
    const about = { client_id, redirect_uri: BACK, response_type: "code", scope: "openid user:customers" };
    const query = new URLSearchParams({ ...about, ...pkce, resource: own.issuer });
    const shown = await openSurfer(latchkey).logIn(`${own.issuer}/oauth/authorize?${query}`, own);
    const code = answered(shown).get("code") ?? "";
    const form = { grant_type: "authorization_code", client_id, redirect_uri: BACK, code_verifier: VERIFIER, code };
    const { access_token } = (await call(`${own.base}/oauth/token`, { method: "POST", form })).body;
    const send = async (redirect_uri: string) => {
      const json = { redirect_uri };
      const headers = { accept: "application/json" };
      const reply = await call(`${own.base}/auth/redirect`, { method: "POST", token: access_token, json, headers });
      return [reply.status, reply.body?.error?.code];
    };
    const elsewhere = "https://agent.example/elsewhere";
    expect(await send(BACK)).toEqual([200, undefined]);
    describe("/sending.json", { redirect_uris: [elsewhere] });
    await outdate();
    expect(await send(BACK), "withdrawn").toEqual([400, "redirect_uri_mismatch"]);
    expect(await send(elsewhere)).toEqual([200, undefined]);
    await set({ client_id_metadata_documents: false });
    expect(await send(elsewhere), "the account takes none").toEqual([403, "unauthorized_client"]);
    await set({ client_id_metadata_documents: true });
    documents.delete("/sending.json");
    await outdate();
    expect(await send(elsewhere), "its document is gone").toEqual([403, "unauthorized_client"]);
  });

  it("are asked for again when their documents' headers say so, within half a minute and a day", async () => {
    const own = await createTenant(latchkey);
    const { directory } = latchkey.server.core;
    const registrations = directory.storage.read.selectFrom("client_registrations").where("token_digest", "is", null);
    const rows: readonly (readonly [number, string?])[] = [
      [300],
      [300, "public"],
      [30, "no-store"],
      [30, "private, no-cache, max-age=600"],
      [30, "max-age=5"],
      [600, "public, max-age=600"],
      [86_400, "max-age=999999"],
    ];
    for (const [n, [seconds, said]] of rows.entries()) {
      const path = `/fresh-${n}.json`;
      if (said !== undefined) headers.set(path, { "cache-control": said });
      const client_id = describe(path);
      await authorize(client_id, own);
      const { id } = await findClient(directory, own.account_id, client_id);
      const { fresh_until, used_at } = await registrations
        .select(["fresh_until", "used_at"])
        .where("client_id", "=", id)
        .executeTakeFirstOrThrow();
      expect((Date.parse(fresh_until ?? "") - Date.parse(used_at)) / 1000, said).toBe(seconds);
      await authorize(client_id, own);
      expect(asked(path), `${said}, at once`).toBe(1);
      await letPass(latchkey, "client_registrations", own.account_id, seconds, ["fresh_until"]);
      await authorize(client_id, own);
      expect(asked(path), `${said}, afterwards`).toBe(2);
    }
  });

  it("are ten thousand of an account at most: whoever is known stays, and nobody new is asked about", async () => {
    const own = await createTenant(latchkey);
    const known = describe("/known.json");
    await authorize(known, own);
    const { storage } = latchkey.server.core;
    await storage.write(async ({ db }) => {
      const kept = db.selectFrom("client_registrations").selectAll().where("account_id", "=", own.account_id);
      const row = await kept.executeTakeFirstOrThrow();
      const made = await db.selectFrom("clients").selectAll().where("id", "=", row.client_id).executeTakeFirstOrThrow();
      for (let left = 9_999; left > 0; left -= 1_000) {
        const ids = Array.from({ length: Math.min(left, 1_000) }, () => randomUUID());
        await db
          .insertInto("clients")
          .values(ids.map((id) => ({ ...made, id, client_id: `${known}?${id}` })))
          .execute();
        await db
          .insertInto("client_registrations")
          .values(ids.map((client_id) => ({ ...row, client_id })))
          .execute();
      }
      // As if the account had set something at each.
      await db.updateTable("clients").set({ untried_since: null }).where("account_id", "=", own.account_id).execute();
    });
    expect((await authorize(describe("/beyond.json"), own)).status).toBe(429);
    expect([asked("/beyond.json"), (await authorize(known, own)).status]).toEqual([0, 200]);
    const { id } = await findClient(latchkey.server.core.directory, own.account_id, known);
    const remove = { method: "DELETE", token: own.token };
    expect((await call(`${own.base}/auth/clients/${id}`, remove)).status).toBe(200);
    expect((await authorize(describe("/room.json"), own)).status, "in the room of a deleted one").toBe(200);
  });

  it("make one question of many, and none for ten seconds after one that failed", async () => {
    const client_id = describe("/down.json");
    await Promise.all(Array.from({ length: 5 }, () => authorize(client_id)));
    expect(asked("/down.json"), "unknown").toBe(1);
    documents.delete("/down.json");
    await outdate();
    const shown = await Promise.all(Array.from({ length: 20 }, () => authorize(client_id)));
    expect(new Set(shown.map(({ status }) => status))).toEqual(new Set([400]));
    expect(asked("/down.json"), "at once").toBe(2);
    expect((await authorize(client_id)).html).toContain("answered 404");
    expect(await redeem(client_id)).toEqual([401, "invalid_client"]);
    describe("/down.json");
    time += 9_999;
    expect((await authorize(client_id)).html).toContain("answered 404");
    expect(asked("/down.json"), "afterwards").toBe(2);
    time += 1;
    expect((await authorize(client_id)).status).toBe(200);
    expect(asked("/down.json"), "later").toBe(3);
  });
});

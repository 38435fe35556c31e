/** DPoP proofs are made by whoever likes: one is spent, and a row kept of it, only for a request that could get something. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { openKey } from "../support/dpop.ts";
import { describeOnBothEngines } from "../support/engines.ts";
import { addClient, addGrant, CALLBACK, call, inbox } from "../support/latchkey.ts";
import { openScene, pkce, type Scene, standardClient, VERIFIER } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

const DEVICE = "urn:ietf:params:oauth:grant-type:device_code";
const EXCHANGE = "urn:ietf:params:oauth:grant-type:token-exchange";

describeOnBothEngines("a proof of a key", (engine) => {
  let scene: Scene;
  beforeAll(async () => {
    scene = await openScene(engine);
  });
  afterAll(() => scene.close());

  async function spa() {
    const { latchkey, tenant } = scene;
    const grant_types = ["authorization_code", "refresh_token", DEVICE, EXCHANGE] as const;
    const token_endpoint_auth_method = "none" as const;
    const about = { first_party: true, token_endpoint_auth_method, grant_types: [...grant_types] };
    const client = await addClient(latchkey, tenant.account_id, about);
    await addGrant(latchkey, tenant.account_id, client, tenant.audience, ["orders:read"]);
    const key = await openKey(tenant.issuer);
    const ask = (form: Record<string, string>, dpop = "", path = "token") => {
      const sent = { client_id: client.client_id, ...form };
      return call(`${tenant.base}/oauth/${path}`, {
        method: "POST",
        ...(dpop ? { headers: { dpop } } : {}),
        form: sent,
      });
    };
    const nonce = (await ask({ grant_type: "refresh_token" }, await key.proof())).headers.get("dpop-nonce") ?? "";
    const proof = (path = "token") => key.proof({ nonce }, {}, `/oauth/${path}`);
    const kept = async () => {
      const { storage } = latchkey.server.core;
      const rows = await storage.read.selectFrom("used_tokens").select("id").where("id", "like", "dpop %").execute();
      return rows.length;
    };
    const { codeFor } = standardClient(latchkey, tenant, client);
    const redeeming = (code: string) => ({
      ...{ grant_type: "authorization_code", code, redirect_uri: CALLBACK, code_verifier: VERIFIER },
    });
    return {
      client,
      ask,
      proof,
      kept,
      redeeming,
      code: () => codeFor(client, { scope: "openid offline_access", ...pkce }),
    };
  }

  it("is not kept for what a stranger made up, and is good for one request that gets something", async () => {
    const { ask, proof, kept, redeeming, code } = await spa();
    const [before, one] = [await kept(), await proof()];
    const theirs = redeeming(await code());
    for (const [form, error] of [
      [redeeming("junk"), "invalid_grant"],
      [{ ...theirs, code_verifier: "a".repeat(43) }, "invalid_grant"],
      [{ ...theirs, resource: "https://elsewhere.example" }, "invalid_target"],
      [{ grant_type: "authorization_code" }, "invalid_request"],
      [{ grant_type: "refresh_token", refresh_token: "A".repeat(70) }, "invalid_grant"],
      [{ grant_type: DEVICE, device_code: "junk" }, "invalid_grant"],
      [{ grant_type: "client_credentials" }, "unauthorized_client"],
      [{ grant_type: EXCHANGE, subject_token: "junk", subject_token_type: "x" }, "invalid_request"],
    ] as const) {
      const refused = await ask(form, one);
      expect(refused.body.error, refused.text).toBe(error);
    }
    const pushed = await proof("par");
    const pushing = { response_type: "code", redirect_uri: CALLBACK, scope: "openid", ...pkce };
    expect((await ask({ ...pushing, redirect_uri: "https://elsewhere.example" }, pushed, "par")).status).toBe(400);
    expect(await kept(), "rows for strangers").toBe(before);

    const login = await ask(theirs, one);
    expect(login.body.token_type, login.text).toBe("DPoP");
    expect((await ask(pushing, pushed, "par")).status).toBe(201);
    expect(await kept()).toBe(before + 2);
    const { refresh_token } = login.body;
    const refresh = async (dpop: string) => (await ask({ grant_type: "refresh_token", refresh_token }, dpop)).body;
    expect((await refresh(one)).error, "a second time").toBe("invalid_dpop_proof");
    expect((await ask(pushing, pushed, "par")).body.error, "a second time").toBe("invalid_dpop_proof");
    const again = redeeming(await code());
    expect((await ask(again, one)).body.error, "a second time").toBe("invalid_dpop_proof");
    expect((await ask(again, await proof())).status, "nothing else was spent").toBe(200);
    expect((await refresh(await proof())).token_type, "nothing else was spent").toBe("DPoP");
  });

  it("is spent once by a device, when somebody has let it in", async () => {
    const { latchkey, tenant } = scene;
    const { ask, proof, kept } = await spa();
    const { body } = await ask({ scope: "openid" }, "", "device_authorization");
    const [before, one] = [await kept(), await proof()];
    const poll = async (dpop: string) => (await ask({ grant_type: DEVICE, device_code: body.device_code }, dpop)).body;
    expect((await poll(one)).error).toBe("authorization_pending");
    expect(await kept()).toBe(before);
    const surfer = openSurfer(latchkey);
    const email = await scene.someone();
    const { user_code } = body;
    const waiting = await surfer.act(await surfer.visit(`${tenant.issuer}/device`, { user_code }), "identify", {
      identifier: email,
    });
    const code = (await inbox(tenant, email))[0]?.verification_code ?? "";
    await surfer.act(await surfer.act(waiting, "code", { code }), "allow");
    expect((await poll(one)).token_type).toBe("DPoP");
    expect(await kept()).toBe(before + 1);
    expect((await poll(one)).error, "a second time").toBe("invalid_dpop_proof");
  });
});

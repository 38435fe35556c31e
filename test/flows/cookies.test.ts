/** The one cookie that browsers keep for us: where they send it, what reads it, and when it is not believed. */
import { afterAll, beforeAll, expect, it } from "vitest";
import { describeOnBothEngines } from "../support/engines.ts";
import {
  addClient,
  addUser,
  call,
  createTenant,
  type Latchkey,
  startLatchkey,
  type Tenant,
} from "../support/latchkey.ts";
import { type StandardClient, standardClient } from "../support/standard-client.ts";
import { openSurfer } from "../support/surfer.ts";

interface Place {
  readonly latchkey: Latchkey;
  readonly tenant: Tenant;
  readonly standard: StandardClient;
}

describeOnBothEngines("the cookie of a browser", (engine) => {
  let secure: Place;
  let plain: Place;
  beforeAll(async () => {
    const open = async (env: Record<string, string>): Promise<Place> => {
      const latchkey = await startLatchkey(engine, { env });
      const tenant = await createTenant(latchkey);
      const own = await addClient(latchkey, tenant.account_id, { first_party: true });
      return { latchkey, tenant, standard: standardClient(latchkey, tenant, own) };
    };
    secure = await open({ PUBLIC_URL: "https://login.example" });
    plain = await open({});
  });
  afterAll(async () => {
    await secure.latchkey.close();
    await plain.latchkey.close();
  });

  /** Logs somebody new in. */
  const enter = async ({ latchkey, tenant, standard }: Place) => {
    const surfer = openSurfer(latchkey);
    const { email } = await addUser(latchkey, tenant.account_id);
    await surfer.logIn(standard.address(), tenant, email);
    const [[name = "", value = ""] = []] = surfer.jar;
    return { surfer, name, value };
  };

  it("is this very host's, by https alone, and no script's, from whichever page it comes", async () => {
    const form = {
      secure: /^__Host-lk_T\d{8}=[\w-]{43}; Path=\/; Max-Age=31536000; HttpOnly; SameSite=Lax; Secure$/,
      plain: /^lk_T\d{8}=[\w-]{43}; Path=\/; Max-Age=31536000; HttpOnly; SameSite=Lax$/,
    };
    for (const [what, place] of Object.entries({ secure, plain })) {
      const { surfer } = await enter(place);
      expect(surfer.set.length, "before and after the login").toBe(2);
      const device = openSurfer(place.latchkey);
      await device.visit(`${place.tenant.issuer}/device`, { user_code: "BBBB-BBBB" });
      expect(device.set.length).toBe(1);
      for (const line of [...surfer.set, ...device.set]) expect(line).toMatch(form[what as keyof typeof form]);
    }
  });

  it("is not believed beside another one of its name, nor by https under the name that it has by http", async () => {
    for (const place of [secure, plain]) {
      const { name, value } = await enter(place);
      const { value: planted } = await enter(place);
      const url = place.standard.address(undefined, { prompt: "none" });
      const ask = async (cookie: string) => {
        const here = url.replace(place.latchkey.config.public_url, place.latchkey.url);
        const { headers } = await call(here, { headers: { cookie } });
        const answer = new URL(headers.get("location") ?? "").searchParams;
        return answer.has("code") ? "code" : answer.get("error");
      };
      const odd = ["other=x; ", `x${name}=y;`, `a=${name}; `, `a b${name}=1; `, ";".repeat(9_000), `${name}2=x;   `];
      for (const before of odd) expect(await ask(`${before}${name}=${value} ;c=d`), before.slice(0, 50)).toBe("code");
      for (const other of [planted, value, "x"])
        for (const both of [`${name}=${other}; ${name}=${value}`, `${name}=${value}; a=b; ${name}=${other}`])
          expect(await ask(both), both).toBe("login_required");
      const bare = name.replace("__Host-", "");
      expect(await ask(`${bare}=${value}`), bare).toBe(place === secure ? "login_required" : "code");
    }
  });
});

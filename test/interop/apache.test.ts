/** Apache's mod_auth_openidc, as Debian ships it, protects a page with Latchkey as its provider. */
import { type ChildProcess, spawn } from "node:child_process";
import { chmodSync, existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { get } from "node:http";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { freePort } from "../../scripts/postgres.mjs";
import { addClient, addUser, createTenant, type Latchkey, startLatchkey, type Tenant } from "../support/latchkey.ts";
import { until } from "../support/smtp.ts";
import { openSurfer } from "../support/surfer.ts";

const APACHE = "/usr/sbin/apache2";
const MODULES = "/usr/lib/apache2/modules";
const present = existsSync(APACHE) && existsSync(`${MODULES}/mod_auth_openidc.so`);
if (!present)
  console.warn("No Apache here (apt-get install apache2 libapache2-mod-auth-openidc): its login is not tried.");

describe.skipIf(!present)("Apache with mod_auth_openidc", () => {
  let latchkey: Latchkey;
  let tenant: Tenant;
  let apache: ChildProcess;
  let folder: string;
  let origin: string;
  beforeAll(async () => {
    const port = await freePort();
    origin = `http://localhost:${port}`;
    folder = mkdtempSync(join(tmpdir(), "latchkey-apache-"));
    chmodSync(folder, 0o755);
    latchkey = await startLatchkey("sqlite");
    tenant = await createTenant(latchkey);
    const client = await addClient(latchkey, tenant.account_id, {
      first_party: true,
      callbacks: [`${origin}/secure/back`],
      post_logout_redirect_uris: [`${origin}/bye`],
    });
    mkdirSync(join(folder, "www", "secure"), { recursive: true });
    writeFileSync(join(folder, "www", "secure", "index.html"), "the protected page");
    writeFileSync(join(folder, "www", "bye"), "bye");
    const load = (name: string) => `LoadModule ${name}_module ${MODULES}/mod_${name}.so`;
    const modules = ["mpm_event", "authn_core", "authz_core", "authz_user", "dir", "headers", "auth_openidc"];
    const settings = `
${modules.map(load).join("\n")}
ServerName localhost
Listen 127.0.0.1:${port}
PidFile ${folder}/pid
ErrorLog ${folder}/error.log
DefaultRuntimeDir ${folder}
Mutex posixsem
${process.getuid?.() === 0 ? "User www-data\nGroup www-data" : ""}
DocumentRoot ${folder}/www
DirectoryIndex index.html
OIDCProviderMetadataURL ${tenant.issuer}/.well-known/openid-configuration
OIDCClientID ${client.client_id}
OIDCClientSecret ${client.client_secret}
OIDCRedirectURI ${origin}/secure/back
OIDCCryptoPassphrase a-passphrase-of-this-test
OIDCScope "openid email"
OIDCRemoteUserClaim email
OIDCPKCEMethod S256
<Location /secure>
  AuthType openid-connect
  Require valid-user
  Header set X-User "expr=%{REMOTE_USER}"
</Location>
`;
    const file = join(folder, "apache.conf");
    writeFileSync(file, settings);
    apache = spawn(APACHE, ["-f", file, "-DFOREGROUND"], { stdio: "ignore" });
    await until("Apache", async () => {
      if (apache.exitCode !== null)
        throw new Error(`Apache stopped: ${readFileSync(join(folder, "error.log"), "utf8")}`);
      return (await fetch(`${origin}/bye`).catch(() => undefined))?.ok === true ? true : undefined;
    });
  });
  afterAll(async () => {
    const ended = new Promise((resolve) => apache.once("exit", resolve));
    apache.kill("SIGTERM");
    await ended;
    await latchkey.close();
    rmSync(folder, { recursive: true, force: true });
  });

  /** One browser's requests to Apache, which tells them from those of a script by what `fetch` says of itself. */
  function openVisitor() {
    const jar = new Map<string, string>();
    return (url: string) =>
      new Promise<{ status: number; location: string; user: string; text: string }>((resolve, reject) => {
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
        const asking = get(url, { headers: { accept: "text/html", cookie } }, (response) => {
          const { location = "", "set-cookie": cookies = [], "x-user": user = "" } = response.headers;
          for (const line of cookies) {
            const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
            jar.set(name, value);
          }
          let text = "";
          response.on("data", (chunk) => {
            text += chunk;
          });
          response.on("end", () => resolve({ status: response.statusCode ?? 0, location, user: String(user), text }));
        });
        asking.on("error", reject);
      });
  }

  it("shows its page to whoever logged in here, and logs them out here too", async () => {
    const { email } = await addUser(latchkey, tenant.account_id);
    const [visit, surfer] = [openVisitor(), openSurfer(latchkey)];
    const asked = await visit(`${origin}/secure/`);
    expect(asked.status).toBe(302);
    const back = await surfer.logIn(asked.location, tenant, email);
    expect(back.url.startsWith(`${origin}/secure/back`)).toBe(true);
    expect((await visit(back.url)).location).toBe(`${origin}/secure/`);
    const page = await visit(`${origin}/secure/`);
    expect([page.status, page.user, page.text]).toEqual([200, email, "the protected page"]);
    const leaving = await visit(`${origin}/secure/back?logout=${encodeURIComponent(`${origin}/bye`)}`);
    expect((await surfer.visit(leaving.location)).url.startsWith(`${origin}/bye`)).toBe(true);
    const again = await visit(`${origin}/secure/`);
    const asks = await surfer.visit(again.location);
    expect(asks.html).toContain('value="identify"');
  });

  it("shows it to nobody else, whatever they bring", async () => {
    const visit = openVisitor();
    expect((await visit(`${origin}/secure/`)).status).toBe(302);
    const crafted = await visit(`${origin}/secure/back?code=x&state=y&iss=${encodeURIComponent(tenant.issuer)}`);
    expect([400, 302, 404, 401]).toContain(crafted.status);
    expect((await visit(`${origin}/secure/`)).status).toBe(302);
  });
});

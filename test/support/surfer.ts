/** A browser without a screen: keeps cookies, follows our redirects, fills in forms. */
import { inbox, type Latchkey, type Tenant } from "./latchkey.ts";

export interface Shown {
  readonly status: number;
  /** Where it ended: a page of ours, or the address outside that it was sent to. */
  readonly url: string;
  readonly html: string;
  readonly headers: Headers;
}

export interface Surfer {
  readonly jar: Map<string, string>;
  /** Every cookie that was set, as its header said it. */
  readonly set: readonly string[];
  visit(url: string, form?: Readonly<Record<string, string>>): Promise<Shown>;
  /** Sends the form of the page that does this. */
  act(page: Shown, action: string, fields?: Readonly<Record<string, string>>): Promise<Shown>;
  /** The whole login: identifier, code out of the sandbox, and consent where it is asked for. */
  logIn(url: string, tenant: Tenant, who?: string): Promise<Shown>;
}

export function openSurfer(latchkey: Latchkey, from: Readonly<Record<string, string>> = {}): Surfer {
  const jar = new Map<string, string>();
  const set: string[] = [];
  const ours = (url: string) => url.startsWith(latchkey.config.public_url) || url.startsWith(latchkey.url);
  const surfer: Surfer = {
    jar,
    set,
    async visit(url, form) {
      let next = url;
      let body = form;
      for (let hop = 0; hop < 10; hop++) {
        const address = next.replace(latchkey.config.public_url, latchkey.url);
        const cookie = [...jar].map(([name, value]) => `${name}=${value}`).join("; ");
        const response = await fetch(address, {
          redirect: "manual",
          headers: { accept: "text/html", ...from, ...(cookie ? { cookie } : {}) },
          ...(body ? { method: "POST", body: new URLSearchParams(body) } : {}),
        });
        for (const line of response.headers.getSetCookie()) {
          const [, name = "", value = ""] = /^([^=]+)=([^;]*)/.exec(line) ?? [];
          jar.set(name, value);
          set.push(line);
        }
        const location = response.headers.get("location");
        const html = await response.text();
        if (!location) return { status: response.status, url: next, html, headers: response.headers };
        next = new URL(location, next).href;
        body = undefined;
        if (!ours(next)) return { status: response.status, url: next, html, headers: response.headers };
      }
      throw new Error("too many redirects");
    },
    act(page, action, fields = {}) {
      const form = page.html.split("<form").find((one) => one.includes(`name="action" value="${action}"`));
      if (form === undefined) throw new Error(`the page has no ${action}: ${page.html}`);
      const [own = ""] = form.split("</form>");
      const hidden = own.matchAll(/<input type="hidden" name="([^"]+)" value="([^"]*)">/g);
      const filled = Object.fromEntries([...hidden].map(([, name, value]) => [name, value]));
      return surfer.visit(page.url, { ...filled, ...fields });
    },
    async logIn(url, tenant, who = tenant.user.email) {
      const first = await surfer.visit(url);
      const waiting = await surfer.act(first, "identify", { identifier: who });
      const [message] = await inbox(tenant, who);
      const next = await surfer.act(waiting, "code", { code: message?.verification_code ?? "" });
      return next.html.includes('value="allow"') ? surfer.act(next, "allow") : next;
    },
  };
  return surfer;
}

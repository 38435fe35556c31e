import { acceptedLanguages } from "../../http/accepted-languages.ts";
import { isLookedAt, noSuchAddress } from "../../http/no-such-address.ts";
import type { App } from "../../http/server.ts";
import { html } from "../html.ts";
import { sendPage } from "../page.ts";
import { textsFor } from "../texts/languages.ts";

/** What is at the server's own address, for a person who looks there; to every program nothing is. */
export function homeRoutes(app: App, public_url: string): void {
  app.route({
    method: "GET",
    url: "/",
    config: { surface: "system", public: true },
    schema: { hide: true },
    handler: (request, reply) => {
      if (!isLookedAt(request)) return noSuchAddress(request, reply);
      const texts = textsFor(acceptedLanguages(request.headers["accept-language"]));
      const { intro, builders, docs, ready } = texts.home;
      // Whole addresses: PUBLIC_URL may have a path, and may have been asked for without its last slash.
      const body = html`<p>${intro}</p>
<p class="quiet">${builders}</p>
<ul>
<li><a href="${public_url}/docs/">${docs}</a></li>
<li><a href="${public_url}/readyz">${ready}</a></li>
</ul>`;
      sendPage(reply, { account: undefined, texts, title: "Latchkey", body });
    },
  });
}

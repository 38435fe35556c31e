import type { Instant } from "../storage/storage.ts";
import { type Html, html } from "./html.ts";

/** An instant as a person reads it, wherever they are. */
export const timeOf = (at: Instant): Html =>
  html`<time datetime="${at}">${at.slice(0, 19).replace("T", " ")} UTC</time>`;

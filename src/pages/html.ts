import { escapeHtml } from "../http/escape-html.ts";

/** Markup that may be sent as it is. Everything else that is put into a template is escaped. */
export interface Html {
  readonly markup: string;
}

export type Piece = Html | string | number | false | null | undefined | readonly Piece[];

function render(piece: Piece): string {
  if (piece === false || piece === null || piece === undefined) return "";
  if (Array.isArray(piece)) return piece.map(render).join("");
  if (typeof piece === "object") return (piece as Html).markup;
  return escapeHtml(String(piece));
}

export function html(parts: TemplateStringsArray, ...pieces: readonly Piece[]): Html {
  return { markup: parts.reduce((text, part, index) => text + render(pieces[index - 1]) + part) };
}

/** Text whose lines may end after a dot, as a long host's should. */
export function breakable(text: string): Html {
  return html`${text.split(/(?<=\.)/).map((part, index) => html`${index > 0 && html`<wbr>`}${part}`)}`;
}

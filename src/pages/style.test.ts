import { describe, expect, it } from "vitest";
import { style } from "./style.ts";

type Rgb = readonly number[];

const rgb = (colour: string): Rgb => {
  const digits = colour.length === 4 ? colour.replace(/[0-9a-f]/g, "$&$&") : colour;
  return [1, 3, 5].map((at) => Number.parseInt(digits.slice(at, at + 2), 16));
};
const mix = (one: Rgb, other: Rgb, share: number): Rgb =>
  one.map((value, at) => value * share + (other[at] ?? 0) * (1 - share));
const luminance = (colour: Rgb) =>
  colour
    .map((value) => (value / 255 <= 0.04045 ? value / 255 / 12.92 : ((value / 255 + 0.055) / 1.055) ** 2.4))
    .reduce((sum, value, at) => sum + value * ([0.2126, 0.7152, 0.0722][at] ?? 0), 0);
/** WCAG 2 contrast ratio, 1 to 21. */
function contrast(one: Rgb, other: Rgb): number {
  const [dark = 0, light = 0] = [luminance(one), luminance(other)].sort((a, b) => a - b);
  return (light + 0.05) / (dark + 0.05);
}

/** What a variable is in the light theme and in the dark one. */
function variable(sheet: string, name: string): readonly string[] {
  const values = [...sheet.matchAll(new RegExp(`--${name}:([^;}]+)`, "g"))].map(([, value = ""]) => value);
  return [values[0] ?? "", values.at(-1) ?? ""];
}

const LEVELS = Array.from({ length: 16 }, (_, n) => (n * 17).toString(16).padStart(2, "0"));
const colours = LEVELS.flatMap((red) => LEVELS.flatMap((green) => LEVELS.map((blue) => `#${red}${green}${blue}`)));

describe("the style of pages", () => {
  it("can be read on a button of any colour, also of one that is pointed at", () => {
    const bad = colours.filter((colour) => {
      const sheet = style(colour);
      const text = rgb(variable(sheet, "on-accent")[0] ?? "");
      const [, share, other = ""] =
        /:hover\{background:color-mix\(in srgb,var\(--accent\) (\d+)%,(#fff|#000)\)/.exec(sheet) ?? [];
      const hovered = mix(rgb(colour), rgb(other), Number(share) / 100);
      return !(contrast(text, rgb(colour)) >= 4.5 && contrast(text, hovered) >= 4.5);
    });
    expect(bad).toEqual([]);
  });

  it("shows where the focus is, and where the main button ends, in any colour, light and dark", () => {
    expect(style("#ffffff")).toMatch(/^button\.main\{[^}]*border-color:var\(--focus\)/m);
    const bad = colours.filter((colour) => {
      const sheet = style(colour);
      const [focus = ""] = variable(sheet, "focus");
      const [, share = "50", other = ""] =
        /^color-mix\(in srgb,var\(--accent\)(?: (\d+)%)?,([^)]+\)?)\)$/.exec(focus) ?? [];
      return [0, 1].some((theme) => {
        const [, name] = /^var\(--(.*)\)$/.exec(other) ?? [];
        const partner = name === undefined ? other : (variable(sheet, name)[theme] ?? "");
        const ring = mix(rgb(colour), rgb(partner), Number(share) / 100);
        return !(contrast(ring, rgb(variable(sheet, "paper")[theme] ?? "")) >= 3);
      });
    });
    expect(bad).toEqual([]);
  });
});

/** WCAG 2 relative luminance of #rrggbb: 0 is black, 1 is white. */
function luminanceOf(colour: string): number {
  const [red = 0, green = 0, blue = 0] = [1, 3, 5].map((at) => {
    const value = Number.parseInt(colour.slice(at, at + 2), 16) / 255;
    return value <= 0.04045 ? value / 12.92 : ((value + 0.055) / 1.055) ** 2.4;
  });
  return 0.2126 * red + 0.7152 * green + 0.0722 * blue;
}

/** Above this luminance black stands out more, below it white; either then does so by 4.5 to 1 (WCAG 2 §1.4.3). */
const LIGHT = 0.179;

/**
 * One small sheet: light and dark, 320 pixels and up, also with text twice as large (WCAG 2.2 §1.4.4), nothing to fetch. `--accent` is the account's own colour, of which
 * any can be read: half of it in the ring of the focus, and in the edge of the main button, leaves 3 to 1 against the paper (WCAG 2 §1.4.11).
 */
export const style = (accent: string) => {
  const light = luminanceOf(accent) > LIGHT;
  return `
:root{color-scheme:light dark;--accent:${accent};--on-accent:${light ? "#000" : "#fff"};--focus:color-mix(in srgb,var(--accent),var(--ink));--ink:#17202b;--quiet:#566474;--paper:#fff;--ground:#f1f4f7;--line:#cdd6df;--bad:#b3261e;--bad-ground:#fdeceb}
@media (prefers-color-scheme:dark){:root{--ink:#e9eef4;--quiet:#a4b1bf;--paper:#1a212b;--ground:#10151c;--line:#3b4755;--bad:#ffb4ab;--bad-ground:#3b1613}}
*{box-sizing:border-box}
html{font-size:100%}
body{margin:0;min-height:100vh;min-height:100dvh;display:grid;grid-template-columns:minmax(0,1fr);place-items:center;padding:min(1rem,4vw);overflow-wrap:anywhere;background:var(--ground);color:var(--ink);font:1.0625rem/1.5 system-ui,-apple-system,"Segoe UI",Roboto,Helvetica,Arial,sans-serif}
main{width:100%;max-width:26rem;background:var(--paper);border:1px solid var(--line);border-radius:1rem;padding:min(5.5vw,2.25rem);box-shadow:0 1px 2px rgb(0 0 0/.04),0 12px 32px rgb(0 0 0/.06)}
header{margin-bottom:1.25rem}
header img{max-height:2.5rem;max-width:60%;display:block;margin-bottom:1rem}
.account{color:var(--quiet);font-size:.9375rem;margin:0 0 .25rem}
h1{font-size:min(1.5rem,11vw);line-height:1.25;margin:0;letter-spacing:-.01em;text-wrap:balance}
h2{font-size:min(1.125rem,9vw);line-height:1.3;margin:1.75rem 0 .5rem}
h3{font-size:1em;margin:1.25rem 0 .25rem}
p{margin:.75rem 0}
.quiet{color:var(--quiet);font-size:.9375rem}
form{margin:0}
label{display:block;font-weight:600;font-size:min(1em,8.5vw);margin:1.25rem 0 .375rem}
input[type=text],input[type=email]{width:100%;font:inherit;color:inherit;background:transparent;border:1px solid var(--quiet);border-radius:.625rem;padding:.75rem .875rem;min-height:3rem}
input.code{font-family:ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;font-size:min(1.5rem,10vw);letter-spacing:min(.2em,.7vw);padding-inline:4px;text-align:center}
:focus-visible{outline:3px solid var(--focus);outline-offset:2px}
button{font:inherit;font-weight:600;cursor:pointer;border-radius:.625rem;border:1px solid transparent;padding:.75rem min(1rem,4vw);min-height:3rem}
button.main{width:100%;margin-top:1.25rem;border-color:var(--focus);background:var(--accent);color:var(--on-accent)}
button.main:hover{background:color-mix(in srgb,var(--accent) 88%,${light ? "#fff" : "#000"})}
button.other{background:transparent;color:var(--ink);border-color:var(--line);width:100%;margin-top:.625rem}
a.button{display:block;text-align:center;text-decoration:none;font-weight:600;border-radius:.625rem;border:1px solid var(--line);padding:.6875rem min(1rem,4vw);min-height:3rem;margin-top:.625rem}
a.button:hover{border-color:var(--quiet)}
button.other:hover{border-color:var(--quiet)}
button.link{background:none;border:0;padding:.5rem 0;min-height:0;color:inherit;text-align:start;text-decoration:underline;text-underline-offset:.2em;font-weight:400}
a{color:inherit;text-underline-offset:.2em}
.problem{background:var(--bad-ground);color:var(--bad);border-radius:.625rem;padding:.75rem .875rem;margin:1rem 0 0}
.who>:first-child{padding:.375rem 0}
.who{display:flex;flex-wrap:wrap;align-items:center;justify-content:space-between;gap:0 .75rem;border:1px solid var(--line);border-radius:.625rem;padding:.25rem min(.875rem,4vw);margin:1rem 0}
.who time{display:inline-block}
details{border-top:1px solid var(--line);padding:.75rem 0}
summary{cursor:pointer}
form+details{margin-top:1.25rem}
summary span{word-break:break-all}
summary code{display:inline-block;font:600 1.125rem ui-monospace,SFMono-Regular,Menlo,Consolas,monospace;margin-inline-end:.5rem}
summary time{color:var(--quiet);font-size:.875rem;display:block}
pre{white-space:pre-wrap;font:inherit;margin:.75rem 0}
ul{padding-left:min(1.25rem,6vw);margin:.75rem 0}
li{margin:.375rem 0}
footer{margin-top:1.5rem;color:var(--quiet);font-size:.875rem;display:flex;gap:1rem;flex-wrap:wrap}
@media (prefers-reduced-motion:no-preference){button{transition:background-color .12s,border-color .12s}}
`;
};

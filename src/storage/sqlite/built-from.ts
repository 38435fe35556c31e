/** The JavaScript that was made of a module: a thread runs nothing else. */
export function builtFrom(url: string): string {
  return url.replace(/\/src\/([^?]*)\.ts(\?.*)?$/, "/dist/$1.js").replace(/\.ts$/, ".js");
}

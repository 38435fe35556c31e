/**
 * The JavaScript that was made of a module: a thread runs nothing else. Modules that are built lie beside each other; of those in
 * `src`, whatever the folders above it are called, `dist` has the same. `here`: any address of a module that runs.
 */
export function builtFrom(url: string, here: string = import.meta.url): string {
  const built = url.replace(/\.ts(\?.*)?$/, ".js");
  return built === url || /\.js(\?.*)?$/.test(here) ? built : built.replace(/^(.*)\/src\//, "$1/dist/");
}

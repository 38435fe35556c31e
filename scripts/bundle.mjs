/**
 * The server and the command line, each in a few files, of what a thousand modules say: reading those took half of the
 * time to start. They take the place of `dist/server.js` and `dist/cli/latchkey.js`; the modules stay beside them, for threads and tests.
 */
import { chmodSync, rmSync } from "node:fs";
import { posix, relative } from "node:path";
import { fileURLToPath } from "node:url";
import { rolldown } from "rolldown";

const root = fileURLToPath(new URL("..", import.meta.url));
const src = `${root}src/`;

/** Read files of their own folder, or are no JavaScript. */
const LEFT_OUTSIDE = /^(libsql|@node-rs\/argon2|@fastify\/swagger(-ui)?)(\/|$)/;

/** @param {string} dist folder of what is built */
export async function bundle(dist) {
  const built = await rolldown({
    cwd: root,
    input: { server: `${src}server.ts`, "cli/latchkey": `${src}cli/latchkey.ts` },
    platform: "node",
    logLevel: "warn",
    external: LEFT_OUTSIDE,
    plugins: [itsOwnPlace],
  });
  await built.write({ dir: dist, format: "esm", entryFileNames: "[name].js", chunkFileNames: "bundle/[name].js" });
  await built.close();
  for (const name of ["server.js", "cli/latchkey.js"]) rmSync(`${dist}/${name}.map`);
  chmodSync(`${dist}/cli/latchkey.js`, 0o755);
}

/** To each module of ours, `import.meta.url` is where it would be if it had been left alone. */
const itsOwnPlace = {
  name: "its own place",
  transform(code, id) {
    if (!id.startsWith(src) || !code.includes("import.meta.url")) return null;
    const module = relative(src, id).replace(/\.ts$/, ".js");
    return code.replaceAll("import.meta.url", `new URL("built:${module}", import.meta.url).href`);
  },
  renderChunk(code, { fileName }) {
    const up = posix.relative(posix.dirname(fileName), ".") || ".";
    return code.replaceAll('new URL("built:', `new URL("${up}/`);
  },
};

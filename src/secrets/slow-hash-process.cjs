/**
 * The process that hashes: argon2id (19 MiB, t=2, p=1) at a lower priority than the server, so that hashing takes what requests
 * leave over. Threads inherit their priority when they begin, so it is lowered before anything begins one; that is why this is no
 * ES module. Reads `{ id, text, against }`; answers `{ id, hash }` or `{ id, same }`. Ends with the server.
 */
const { setPriority } = require("node:os");

const PARAMETERS = { memoryCost: 19_456, timeCost: 2, parallelism: 1 };

try {
  // Of a core that others keep busy it takes a tenth.
  setPriority(10);
} catch {
  // Where the system does not allow it, hashing runs like anything else.
}

const { hash, verify } = require("@node-rs/argon2");

process.on("message", async ({ id, text, against }) => {
  try {
    if (against === undefined) process.send({ id, hash: await hash(text, PARAMETERS) });
    else process.send({ id, same: await verify(against, text) });
  } catch (error) {
    process.send({ id, error: error.message });
  }
});
process.on("disconnect", () => process.exit(0));
// Whoever ends the server ends this process by letting go of it.
for (const signal of ["SIGINT", "SIGTERM", "SIGHUP"]) process.on(signal, () => {});

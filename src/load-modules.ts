/**
 * What rooms load when they first need it, so that no command and no start waits for it, a server loads as soon as it
 * listens: a module that could not be read once, as where no descriptor was left, Node.js never reads again.
 */
export async function loadModules(): Promise<void> {
  await Promise.all([import("@node-rs/argon2"), import("jose"), import("libphonenumber-js/min")]);
}

/**
 * What rooms load when they first need it, so that commands need not wait for it, a server loads before anybody can ask
 * for it: a module that could not be read once, as where no descriptor was left, Node.js never reads again.
 */
export async function loadModules(): Promise<void> {
  await Promise.all([import("@node-rs/argon2"), import("jose"), import("libphonenumber-js/min")]);
}

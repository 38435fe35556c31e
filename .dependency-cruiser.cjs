/** The floors of ARCHITECTURE.md: which wing may import which. Everything that is not allowed is an error. */
const GROUND = ["config", "errors", "telemetry", "secrets"];
const FLOORS = {
  pages: ["oauth", "authentication", "directory", "limits", "http", "storage"],
  oauth: [
    "authentication",
    "directory",
    "tokens",
    "outbox",
    "revocation",
    "audit",
    "limits",
    "http",
    "egress",
    "storage",
  ],
  authentication: ["directory", "delivery", "outbox", "revocation", "audit", "limits", "http", "egress", "storage"],
  directory: ["outbox", "revocation", "audit", "limits", "http", "egress", "storage"],
  delivery: ["outbox", "audit", "limits", "http", "egress", "storage"],
  audit: ["http", "storage"],
  tokens: ["storage"],
  limits: ["storage"],
  revocation: ["storage"],
  outbox: ["storage"],
  egress: ["storage"],
  http: [],
  storage: [],
  secrets: [],
};
const WINGS = Object.keys(FLOORS);
/** Files beside the wings. */
const SERVER = "^src/(server|serve|start-server|core|workers|tune-engine|load-modules|check-settings|advice)\\.ts$";
const TEST = "\\.test\\.ts$";
const wing = (names) => `^src/(${names.join("|")})(/|\\.ts$)`;

const floors = Object.entries(FLOORS).map(([name, allowed]) => ({
  name: `floor-of-${name}`,
  severity: "error",
  from: { path: `^src/${name}/`, pathNot: TEST },
  to: { path: "^src/", pathNot: wing([name, ...allowed, ...GROUND]) },
}));

/**
 * The rooms of oauth, and the files beside them: each may import only what stands before it, so that no two know each
 * other.
 */
const OAUTH = [
  "refresh",
  "(?!sweeps)[^/]+\\.ts",
  "dpop",
  "bearer",
  "consents",
  "registration",
  "client-authentication",
  "userinfo",
  "device",
  "browser",
  "token",
  "account-user",
  "authorize",
  "customers",
  "discovery",
  "exchange",
  "introspect",
  "logout",
  "mfa",
  "oidc-token",
  "redirect",
  "revoke",
  "signup",
  // What the janitor is told, by every room.
  "sweeps\\.ts",
];
const room = (names) => `^src/oauth/(${names.join("|")})(/|$)`;

const rooms = OAUTH.map((name, index) => ({
  name: `room-of-oauth-${name}`,
  severity: "error",
  from: { path: room([name]), pathNot: TEST },
  to: { path: "^src/oauth/", pathNot: room(OAUTH.slice(0, index + 1)) },
}));

module.exports = {
  forbidden: [
    ...floors,
    ...rooms,
    {
      name: "no-unknown-room-of-oauth",
      severity: "error",
      from: { path: "^src/oauth/", pathNot: [room(OAUTH), TEST] },
      to: {},
    },
    {
      name: "ground-stands-on-nothing",
      severity: "error",
      from: { path: "^src/(config|errors)\\.ts$|^src/telemetry/" },
      to: { path: "^src/", pathNot: wing(GROUND) },
    },
    {
      name: "server-knows-no-command",
      severity: "error",
      from: { path: SERVER },
      to: { path: "^src/cli/" },
    },
    {
      name: "commands-start-without-the-server",
      comment: "Reading its modules takes longer than most commands do.",
      severity: "error",
      from: { path: "^src/(cli/|core\\.ts$)", pathNot: TEST },
      to: { path: "^src/(server|serve|start-server)\\.ts$|routes\\.ts$", dynamic: false },
    },
    {
      name: "only-server-mounts-routes",
      severity: "error",
      from: { path: "^src/", pathNot: ["^src/start-server\\.ts$", "routes\\.ts$"] },
      to: { path: "routes\\.ts$" },
    },
    {
      name: "store-is-private-to-its-folder",
      comment: "A room's tables are its own.",
      severity: "error",
      from: { path: "^src/(.+)/[^/]+\\.ts$", pathNot: TEST },
      to: { path: "[/-]store\\.ts$", pathNot: "^src/$1/[a-z-]*store\\.ts$" },
    },
    {
      name: "no-circular",
      severity: "error",
      from: {},
      to: { circular: true, viaOnly: { dependencyTypesNot: ["type-only"] } },
    },
    {
      name: "no-unknown-wing",
      severity: "error",
      from: {
        path: "^src/",
        pathNot: [wing([...WINGS, ...GROUND, "cli"]), SERVER, TEST],
      },
      to: {},
    },
    { name: "nothing-unresolved", severity: "error", from: {}, to: { couldNotResolve: true } },
    {
      name: "no-dev-dependency",
      severity: "error",
      from: { path: "^src/", pathNot: TEST },
      to: { dependencyTypes: ["npm-dev"] },
    },
  ],
  options: {
    tsPreCompilationDeps: true,
    tsConfig: { fileName: "tsconfig.json" },
    doNotFollow: { path: "node_modules" },
    enhancedResolveOptions: { exportsFields: ["exports"], conditionNames: ["import", "node", "default", "types"] },
  },
};

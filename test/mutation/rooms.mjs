/**
 * The rooms that are broken on purpose, and the tests that have to notice: the room's own. A flow could be named as
 * well, on PostgreSQL, where everything happens in the process that is watched (on SQLite a server's hot statements run
 * on a thread); but what it does before its first test is done again for every change. `engines` is empty where nothing
 * is stored.
 */
const codes = "src/authentication/codes";
const messages = "src/authentication/messages";
const verification = "src/authentication/verification";

export const rooms = {
  limits: {
    // Not the table of budgets: its numbers are decisions, which no test could do more than repeat.
    mutate: ["src/limits/{limits,store,source}.ts"],
    tests: ["src/limits/*.test.ts"],
  },
  callback: {
    mutate: ["src/directory/clients/callback.ts", "src/oauth/redirect-address.ts"],
    tests: ["src/directory/clients/callback.test.ts", "src/oauth/redirect-address.test.ts"],
    engines: "",
  },
  codes: {
    mutate: [`${codes}/code.ts`, `${verification}/guess-window.ts`],
    tests: [`${codes}/code.test.ts`, `${verification}/guess-window.test.ts`],
    engines: "",
  },
  statements: {
    mutate: [
      `${verification}/{redeem-rows,redeem-statement,redeem-sqlite,redeem-numeric-postgres,redeem-strong-postgres}.ts`,
    ],
    tests: [`${verification}/redeem-statement{,-rows}.test.ts`],
  },
  redemption: {
    mutate: [`${verification}/{redeem,refuse-redemption,sent-over,name-person,spray}.ts`],
    tests: [`${verification}/{redeem,redeem-signup,sent-over,name-person,spray}.test.ts`],
  },
  sending: {
    mutate: [
      `${verification}/{send,send-limits,deliver-code,awaited-code,issue-code,mint}.ts`,
      `${messages}/{recipient,sms-limits}.ts`,
    ],
    tests: [`${verification}/{send,send-limits,deliver-code,mint}.test.ts`, `${messages}/sms-limits.test.ts`],
  },
  tokens: {
    mutate: ["src/tokens/*.ts", "!src/tokens/*.test.ts"],
    tests: ["src/tokens/*.test.ts"],
    engines: "sqlite",
  },
  keys: {
    mutate: ["src/tokens/keys/*.ts", "!src/tokens/keys/*.test.ts"],
    tests: ["src/tokens/keys/*.test.ts"],
  },
  bearer: {
    mutate: ["src/oauth/bearer/*.ts", "!src/oauth/bearer/*.test.ts"],
    tests: ["src/oauth/bearer/*.test.ts"],
    engines: "sqlite",
  },
};

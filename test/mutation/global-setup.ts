/** Without the build, which nothing needs but servers, and which would take longer than a room's own tests. */
export { providePostgres as default } from "../support/global-setup.ts";

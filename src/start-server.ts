/**
 * The composition root: opens every capability once, hands the rooms what they need of each other, mounts the routes,
 * installs the hooks and starts the workers. Nothing else in the house does any of this.
 */

import { recordDeed } from "./audit/audit.ts";
import { contactRoutes } from "./authentication/contact/routes.ts";
import { renderCode } from "./authentication/messages/message.ts";
import { configurationsOf } from "./authentication/mfa/factors.ts";
import { factorRoutes } from "./authentication/mfa/routes.ts";
import { preparePasswords, prepareReplacements } from "./authentication/passwords/password.ts";
import { endingSweep } from "./authentication/sessions/endings.ts";
import { sweeps as authenticationSweeps } from "./authentication/sweeps.ts";
import { usernameRoutes } from "./authentication/usernames/routes.ts";
import { passwordlessRoutes } from "./authentication/verification/routes.ts";
import { addressOf, listenFault } from "./config/listen.ts";
import type { Config } from "./config.ts";
import { type Core, openCore } from "./core.ts";
import type { RenderCode } from "./delivery/kinds.ts";
import { sandboxRoutes } from "./delivery/routes.ts";
import { sandboxMessages } from "./delivery/sandbox.ts";
import { startDelivery } from "./delivery/start-delivery.ts";
import { lookUpAccount } from "./directory/accounts/find-account.ts";
import { accountRoutes } from "./directory/accounts/routes.ts";
import { clientRoutes } from "./directory/clients/routes.ts";
import { offerDemo } from "./directory/demo/offer-demo.ts";
import type { Directory } from "./directory/directory.ts";
import { grantRoutes } from "./directory/grants/routes.ts";
import { tellLost } from "./directory/grants/tell-lost.ts";
import { roleRoutes } from "./directory/roles/routes.ts";
import { accountUserRoutes } from "./directory/users/account-user-routes.ts";
import { canonicalRecipient } from "./directory/users/canonical-recipient.ts";
import type { EndLogins } from "./directory/users/remove-user.ts";
import { userRoutes } from "./directory/users/routes.ts";
import { type Documents, openDocuments } from "./egress/documents.ts";
import { openEgress } from "./egress/egress.ts";
import type { Bearer } from "./http/contract.ts";
import { serveDocs, version } from "./http/docs.ts";
import { trustOf } from "./http/forwarded.ts";
import { languages } from "./http/languages.ts";
import { type App, openHttp } from "./http/server.ts";
import { type Readiness, systemRoutes } from "./http/system-routes.ts";
import { budgetSweep, rememberedBudgetSweep, unclosedBudgetSweep } from "./limits/limits.ts";
import { loadModules } from "./load-modules.ts";
import { accountUserSelfRoutes } from "./oauth/account-user/routes.ts";
import { authorizeRoutes } from "./oauth/authorize/routes.ts";
import { requireBearer } from "./oauth/bearer/bearer.ts";
import { authorizationRoutes } from "./oauth/browser/routes.ts";
import { actsAsStranger } from "./oauth/consents/consent.ts";
import { consentRoutes } from "./oauth/consents/routes.ts";
import { chargeQuestion } from "./oauth/customers/charge-question.ts";
import { customerRoutes } from "./oauth/customers/routes.ts";
import { deviceRoutes } from "./oauth/device/routes.ts";
import { discoveryRoutes } from "./oauth/discovery/routes.ts";
import { exchangeRoutes } from "./oauth/exchange/routes.ts";
import { introspectionRoutes } from "./oauth/introspect/routes.ts";
import { backChannelLogout } from "./oauth/logout/back-channel.ts";
import { mfaRoutes } from "./oauth/mfa/routes.ts";
import { oidcTokenRoutes } from "./oauth/oidc-token/routes.ts";
import { redirectRoutes } from "./oauth/redirect/routes.ts";
import { endLoginsOf } from "./oauth/refresh/end-logins.ts";
import { registrationRoutes } from "./oauth/registration/routes.ts";
import { registrationSweep } from "./oauth/registration/sweep.ts";
import { revokeRoutes } from "./oauth/revoke/routes.ts";
import { signupRoutes } from "./oauth/signup/routes.ts";
import { sweeps as oauthSweeps } from "./oauth/sweeps.ts";
import { tokenRoutes } from "./oauth/token/routes.ts";
import { userinfoRoutes } from "./oauth/userinfo/routes.ts";
import { type OutboxCounts, openOutboxCounts, outboxSweep } from "./outbox/counts.ts";
import { consentPageRoutes } from "./pages/consents/routes.ts";
import { devicePageRoutes } from "./pages/device/routes.ts";
import { errorPage } from "./pages/error-page.ts";
import { formPage } from "./pages/form-page.ts";
import { homeRoutes } from "./pages/home/routes.ts";
import { loginRoutes } from "./pages/login/routes.ts";
import { upstreamRoutes } from "./pages/login/upstream-routes.ts";
import { logoutRoutes } from "./pages/logout/routes.ts";
import { sandboxPageRoutes } from "./pages/sandbox/routes.ts";
import { leadToPages } from "./pages/typed-address.ts";
import { revocationSweep } from "./revocation/revocation.ts";
import { startJanitor } from "./storage/janitor.ts";
import type { OnNewer, OnWait } from "./storage/migrate.ts";
import { instant } from "./storage/storage.ts";
import { type Logger, openLogger } from "./telemetry/log.ts";
import { type Metrics, openMetrics } from "./telemetry/metrics.ts";
import { serveMetrics } from "./telemetry/metrics-server.ts";
import { openTracing, type Tracing } from "./telemetry/tracing.ts";
import { keySweep, type NoteRotated } from "./tokens/keys/rotate-key.ts";

export interface RunningServer {
  readonly app: App;
  readonly core: Core;
  /** Finishes what is under way and stops. */
  stop(): Promise<void>;
}

export interface ServerOptions {
  readonly log?: Logger;
  readonly onQuery?: (sql: string) => void;
  /** Set for all but the first of several processes. */
  readonly follower?: boolean;
  /** Fails when the start is not wanted any more. */
  readonly abandoned?: Promise<never>;
  /** By which other servers are asked again; milliseconds. */
  readonly monotonic?: () => number;
  /** Standard output is read by a program, which gets the log and nothing else. */
  readonly json?: boolean;
}

/** @throws an Error whose message says what to do. */
export async function startServer(config: Config, options: ServerOptions = {}): Promise<RunningServer> {
  const log = options.log ?? openLogger(config.log_level);
  const loaded = loadModules();
  // It is heard of where it is waited for.
  loaded.catch(() => {});
  const tracing = config.otlp_endpoint === null ? undefined : await openTracing(config.otlp_endpoint, version, log);
  const onUnread = (error: unknown) => log.error({ err: error }, "revocations cannot be read");
  const { onQuery, abandoned } = options;
  const onWait = waitOf(log);
  const onNewer = options.follower ? undefined : newerOf(log);
  const core = await openCore(config, { exclusive: true, onQuery, tracing, abandoned, onWait, onNewer, onUnread });
  const { storage, directory } = core;
  const stops: (() => Promise<void>)[] = tracing ? [tracing.stop] : [];
  try {
    const counts = openOutboxCounts(storage);
    const metrics = await openMetrics(counts);
    if (config.metrics_port !== null && config.workers === 1)
      stops.push(await serveMetrics(config.host, config.metrics_port, metrics));
    const egress = openEgress(config.egress_allow);
    const code: RenderCode = (account_id, payload) => renderCode(directory.master_keys, account_id, payload as never);
    const outbox = await startDelivery(config, {
      storage,
      renderCode: code,
      egress,
      log,
      further: backChannelLogout(directory, core.tokens, egress),
    });
    stops.push(outbox.stop);
    const janitor = startJanitor(storage, sweepsOf(core), (name, error) =>
      log.error({ err: error, sweep: name }, "sweep failed"),
    );
    stops.push(janitor.stop);
    const documents = openDocuments(egress, options.monotonic);
    const app = await mount(config, core, {
      nudge: outbox.nudge,
      code,
      documents,
      log,
      metrics,
      counts,
      tracing,
    });
    stops.push(async () => app.close());
    await loaded;
    const offer = config.demo && !options.follower ? await offerDemo(directory, config.database_url) : undefined;
    const { host, port } = config;
    // By its address: for `localhost` Fastify opens another server of its own, which no hook of ours knows.
    const listening = addressOf(host).then((address) => app.listen({ host: address, port }));
    await listening.catch((error) => {
      offer?.withdraw();
      throw listenFault("PORT", host, port, error);
    });
    log.info({ public_url: config.public_url, engine: storage.engine }, "listening");
    // Ends after everything else that needs the database.
    if (!options.follower) stops.unshift(tellLost(directory, log).stop);
    if (!options.json) offer?.print();
    return { app, core, stop: () => stopAll(stops, core) };
  } catch (error) {
    await stopAll(stops, core).catch((failed) => log.error({ err: failed }, "what had started did not stop"));
    throw error;
  }
}

/**
 * Requests first, then the workers, then what they stand on.
 *
 * @throws what failed first, when all the others have stopped.
 */
async function stopAll(stops: (() => Promise<void>)[], core: Core): Promise<void> {
  const failures: unknown[] = [];
  for (const stop of [core.close, ...stops.splice(0)].reverse()) await stop().catch((error) => failures.push(error));
  if (failures.length > 0) throw failures[0];
}

/** Tells the operator why the start goes on no further. */
export const waitOf =
  (log: Logger): OnWait =>
  (migration) =>
    log.warn({ migration }, "waits for a table that somebody is using");

/** Whoever starts an older version by mistake reads it here. */
const newerOf =
  (log: Logger): OnNewer =>
  (migrations) =>
    log.warn({ migrations }, "a newer version has migrated the database");

/** What the janitor does. */
export function sweepsOf({ directory, tokens }: Core) {
  const leadOf = async (account_id: string) =>
    (await lookUpAccount(directory, account_id))?.settings.key_publication_lead ?? 86_400;
  const own = [
    budgetSweep,
    rememberedBudgetSweep,
    unclosedBudgetSweep,
    outboxSweep,
    revocationSweep,
    registrationSweep(directory),
    keySweep(tokens, leadOf, noteRotated(directory)),
    endingSweep(directory),
  ];
  return [...own, ...authenticationSweeps, ...oauthSweeps];
}

/** Nobody has asked for it. */
const noteRotated =
  ({ storage }: Directory): NoteRotated =>
  (tx, { account_id, alg }, kid) =>
    recordDeed(tx, {
      account_id,
      action: "keys.rotated",
      entity: account_id,
      now: instant(storage.now()),
      actor: { id: null, context: {} },
      facts: { alg, kid, immediately: false },
    });

interface Parts {
  /** The outbox has something to send. */
  nudge(): void;
  readonly code: RenderCode;
  readonly documents: Documents;
  readonly log: Logger;
  readonly metrics: Metrics;
  readonly counts: () => Promise<OutboxCounts | undefined>;
  readonly tracing: Tracing | undefined;
}

async function mount(
  config: Config,
  core: Core,
  { nudge, code, documents, log, metrics, counts, tracing }: Parts,
): Promise<App> {
  const { storage, directory, tokens } = core;
  const secure = config.public_url.startsWith("https:");
  const app = openHttp({ logger: log, trustProxy: trustOf(config.trusted_proxies), metrics, secure, tracing });
  serveDocs(app, config.public_url);
  const oauth = { directory, tokens, nudge, documents };
  leadToPages(app, config.public_url);
  requireBearer(app, oauth);
  const readiness = () => readinessOf(core, counts);
  systemRoutes(app, { readiness, metrics: config.metrics_port === null ? metrics : undefined });
  tokenRoutes(app, oauth);
  authorizeRoutes(app, oauth);
  mfaRoutes(app, oauth);
  revokeRoutes(app, oauth);
  exchangeRoutes(app, oauth);
  redirectRoutes(app, oauth);
  oidcTokenRoutes(app, oauth);
  passwordlessRoutes(app, oauth);
  authorizationRoutes(app, oauth, formPage(directory));
  userinfoRoutes(app, oauth);
  introspectionRoutes(app, oauth);
  deviceRoutes(app, oauth);
  registrationRoutes(app, oauth);
  consentRoutes(app, oauth);
  loginRoutes(app, oauth);
  upstreamRoutes(app, oauth);
  consentPageRoutes(app, oauth);
  devicePageRoutes(app, oauth);
  logoutRoutes(app, oauth);
  homeRoutes(app, config.public_url);
  app.errorPage = errorPage(directory);
  discoveryRoutes(app, { directory, tokens, languages });
  const endLogins: EndLogins = (tx, person) => endLoginsOf(tx, directory, person);
  accountRoutes(app, directory);
  clientRoutes(app, directory);
  grantRoutes(app, directory);
  roleRoutes(app, directory);
  const strangers = { actsAsStranger: (bearer: Bearer) => actsAsStranger(directory, bearer) };
  userRoutes(app, {
    ...{ directory, endLogins, preparePasswords, prepareReplacements },
    ...strangers,
    chargeQuestion: (bearer) => chargeQuestion(storage, bearer),
  });
  contactRoutes(app, { directory, nudge, endLogins, ...strangers });
  usernameRoutes(app, { directory, endLogins });
  customerRoutes(app, oauth);
  accountUserSelfRoutes(app, directory);
  signupRoutes(app, oauth);
  const configurationOf = (id: string, users: readonly string[]) => configurationsOf(directory, id, users);
  accountUserRoutes(app, { directory, endLogins, configurationOf });
  factorRoutes(app, { directory, endLogins });
  const recipient = (id: string, to: string) => canonicalRecipient(directory, id, to);
  sandboxRoutes(app, { storage, renderCode: code, canonicalRecipient: recipient });
  sandboxPageRoutes(app, oauth, async (id, to) =>
    sandboxMessages(storage, code, id, to === null ? null : await recipient(id, to)),
  );
  app.finishRoutes();
  await app.ready();
  return app;
}

async function readinessOf({ storage, directory }: Core, counts: Parts["counts"]): Promise<Readiness> {
  const database = await storage.ping().then(
    () => "ok" as const,
    () => "failed" as const,
  );
  const revocations = directory.revocations.isFresh() ? ("ok" as const) : ("failed" as const);
  const ready = database === "ok" && revocations === "ok";
  const { late = 0, undeliverable = 0 } = (database === "ok" && (await counts())) || {};
  const degraded = {
    ...(late > 0 ? { late_messages: late } : {}),
    ...(undeliverable > 0 ? { undeliverable_messages: undeliverable } : {}),
  };
  return { ready, checks: { database, revocations }, degraded };
}

import { mkdir } from "node:fs/promises";
import type { AddressInfo } from "node:net";
import { join } from "node:path";
import type { Logger } from "pino";
import type { Authenticator } from "./access/authenticator.ts";
import { listDefaultPasswords } from "./access/first-accounts.ts";
import { openIdentity } from "./access/identity.ts";
import { type Config, isLoopback, refuseDefaultPasswords } from "./config.ts";
import { CallAudit } from "./http/call-audit.ts";
import { Idempotency } from "./http/idempotency.ts";
import { RequestRates } from "./http/request-rates.ts";
import { registerRoutes } from "./http/routes.ts";
import { createHttpServer } from "./http/server.ts";
import { Builds } from "./operator/builds.ts";
import { BuiltAgents } from "./operator/built-agents.ts";
import { ColdStarts } from "./operator/cold-starts.ts";
import { Errands } from "./operator/errands.ts";
import { Faults } from "./operator/faults.ts";
import type { EnvironmentOf } from "./operator/host-claim.ts";
import { Idle } from "./operator/idle.ts";
import { Leases } from "./operator/leases.ts";
import { MessageAcceptance } from "./operator/message-acceptance.ts";
import { Messages } from "./operator/messages.ts";
import { Operator } from "./operator/operator.ts";
import { Servers } from "./operator/servers.ts";
import { SessionLog } from "./operator/session-log.ts";
import { SessionOpener } from "./operator/session-opener.ts";
import { Sessions } from "./operator/sessions.ts";
import { Wakeups } from "./operator/wakeups.ts";
import { WarmPool } from "./operator/warm-pool.ts";
import type { DriverChoice } from "./runtime/driver-choice.ts";
import { EgressProxy } from "./runtime/egress.ts";
import { ensureHostProgram } from "./runtime/host-program.ts";
import { openDriver } from "./runtime/open-driver.ts";
import { secretsOfSpace } from "./secrets/space-secrets.ts";
import { loadKeys } from "./security/keys.ts";
import { RequestSeal } from "./security/request-seal.ts";
import { DatabaseVersion } from "./store/database-version.ts";
import { countOpenBuilds, countOpenMessages, countSessionsByState } from "./store/figures.ts";
import { isListedServer } from "./store/servers.ts";
import { listLiveSessionIds, listLiveSessionIdsOfSpace } from "./store/sessions.ts";
import { ensureInstance } from "./store/settings.ts";
import { openStore, type Store } from "./store/store.ts";
import { Metrics } from "./telemetry/metrics.ts";
import { Operations } from "./telemetry/operations.ts";
import { openTracing } from "./telemetry/tracing.ts";
import { VERSION } from "./version.ts";

/** A control plane, or the components of one that are this process's. */
export interface App {
  /** Where it is reached from this machine; null where it answers no calls. */
  readonly url: string | null;
  readonly runtime: string;
  /** Why that runtime. */
  readonly reason: string;
  /** Lets requests end, then stops. Session computers stay as they are. Idempotent. */
  close(): Promise<void>;
}

/** Milliseconds that running requests get to end when the server stops. */
const DRAIN_MS = 10_000;

/** The runtime with all that it stands on. */
export interface Runtime extends DriverChoice {
  close(): Promise<void>;
}

/** Throws DriverError where no driver can work. */
export async function openRuntime(config: Config, store: Store, log: Logger): Promise<Runtime> {
  const { certificates, environment, mirrorHosts } = config.handedOn;
  const upstream = environment["HTTPS_PROXY"] ?? environment["HTTP_PROXY"];
  const egress = new EgressProxy({ log, mirrorHosts, upstream });
  const choice = await openDriver({
    runtime: config.runtime,
    engineSocket: config.engineSocket,
    sessionImage: config.sessionImage,
    instanceId: await store.write(ensureInstance),
    dataDirectory: config.dataDirectory,
    hostProgram: await ensureHostProgram(config.dataDirectory),
    egress,
    certificates,
    mirrorHosts,
    userHome: config.userHome,
    path: config.path,
    log,
  });
  const close = async (): Promise<void> => {
    await choice.driver.close();
    await egress.close();
  };
  return { ...choice, close };
}

/** Starts everything that the configuration describes. Throws ConfigError, KeyError or DriverError, and leaves nothing open. */
export async function startApp(config: Config, log: Logger): Promise<App> {
  const closers: (() => Promise<void>)[] = [];
  const close = async (): Promise<void> => {
    for (let closer = closers.pop(); closer !== undefined; closer = closers.pop()) await closer();
  };
  try {
    return await compose(config, log, closers, close);
  } catch (error) {
    await close();
    throw error;
  }
}

/** What other servers change of access, secrets and policies holds here too. */
function hearOthers(
  access: Authenticator,
  wakeups: Wakeups,
  sessions: Sessions,
  idle: Idle,
  store: Store,
  log: Logger,
): void {
  const tell = (ids: Promise<readonly string[]>, hear: (ids: readonly string[]) => void): void => {
    ids.then(hear).catch((error: unknown) => log.error({ err: error }, "a change by another server was not heard"));
  };
  const outdate = (ids: readonly string[]) => sessions.outdate(ids);
  access.tellOthers(() => wakeups.emit("access", "", undefined));
  wakeups.watch("access", () => access.heard());
  wakeups.watch("secrets", (spaceId) => tell(listLiveSessionIdsOfSpace(store.read, spaceId), outdate));
  wakeups.watch("space", (spaceId) => tell(listLiveSessionIdsOfSpace(store.read, spaceId), (ids) => idle.changed(ids)));
  wakeups.onMiss(() => {
    access.heard();
    tell(listLiveSessionIds(store.read), outdate);
  });
}

async function compose(
  config: Config,
  log: Logger,
  closers: (() => Promise<void>)[],
  close: () => Promise<void>,
): Promise<App> {
  await mkdir(config.dataDirectory, { recursive: true, mode: 0o700 });
  const keys = await loadKeys(config);
  const databaseVersion = new DatabaseVersion(await openStore(config.database));
  const plainStore = databaseVersion.store;
  closers.push(() => plainStore.close());

  const identity = await openIdentity(plainStore, keys, config, log);
  closers.push(() => identity.close());
  const { access, audit, keyring, store } = identity;
  const [answers, operates] = [config.components.includes("server"), config.components.includes("operator")];
  if (answers && !isLoopback(config.host)) {
    refuseDefaultPasswords(config.host, await listDefaultPasswords(store.read, identity.passwords));
  }

  const wakeups = new Wakeups();
  const servers = await Servers.start({
    store: plainStore,
    wakeups,
    log,
    directory: join(config.dataDirectory, "servers"),
    oneMachine: config.database.kind === "sqlite",
    operates,
  });
  // Last of all that works: while this server is listed, nobody takes its computers over.
  closers.push(() => servers.close());
  const leases = new Leases(plainStore, servers);
  const errands = new Errands({ store: plainStore, wakeups, servers, log });

  const runtime = await openRuntime(config, store, log);
  closers.push(() => runtime.close());
  const { limitsBy } = runtime.driver.capabilities;
  log.info({ runtime: runtime.driver.name, reason: runtime.reason, limits_by: limitsBy }, "runtime chosen");

  const { driver } = runtime;
  const { environment } = config.handedOn;
  const sessionLog = new SessionLog(store, wakeups);
  const environmentOf: EnvironmentOf = async (spaceId) => ({
    ...environment,
    ...(await secretsOfSpace(store.read, keyring, spaceId)).environment,
  });
  const faults = new Faults(config.fault);
  const metrics = new Metrics({ ofProcess: true });
  const tracing = config.tracing === null ? undefined : await openTracing({ ...config.tracing, version: VERSION });
  closers.push(async () => tracing?.close());
  const operations = new Operations({ log, metrics, tracing });
  const shared = { store, wakeups, leases, errands, driver, log, faults, operations };
  const coldStarts = new ColdStarts();
  const pool = new WarmPool({ ...shared, coldStarts });
  const sessions = new Sessions({
    ...shared,
    coldStarts,
    sessionLog,
    environmentOf,
    onLost: (id) => pool.lost(id),
    onReady: (id) => {
      messages.wake(id);
      idle.watch(id);
    },
    onUnused: (id) => idle.used(id),
    onRemoved: (spaceId) => builds.wake(spaceId),
  });
  const opener = new SessionOpener({ ...shared, sessionLog, sessions, pool, environmentOf });
  const idle: Idle = new Idle({ ...shared, sessionLog, sessions });
  const builtAgents = new BuiltAgents(store.read);
  const messages: Messages = new Messages({ ...shared, sessionLog, sessions, builtAgents });
  const acceptance = new MessageAcceptance({ ...shared, sessionLog, messages, builtAgents });
  const { allowLocalSources } = config;
  const onCompleted = (spaceId: string) => pool.wake(spaceId);
  const builds: Builds = new Builds({ ...shared, environment, allowLocalSources, onCompleted });
  hearOthers(access, wakeups, sessions, idle, store, log);
  const operator = new Operator({ ...shared, servers, sessions, messages, builds, idle, pool });
  closers.push(() => operator.close());

  metrics.countFrom({
    sessions: () => countSessionsByState(store.read),
    messages: () => countOpenMessages(store.read),
    builds: () => countOpenBuilds(store.read),
    pool: () => [...pool.counts().values()].reduce((sum, count) => sum + count, 0),
  });

  if (!answers) {
    await operator.begin();
    return { url: null, runtime: driver.name, reason: runtime.reason, close };
  }
  const idempotency = new Idempotency({
    store: plainStore,
    seal: new RequestSeal(keys.signing),
    serverId: () => servers.id,
    isAlive: (id) => isListedServer(store.read, id),
  });
  const stopSweeping = idempotency.keepSwept(log);
  closers.push(async () => stopSweeping());

  const http = createHttpServer({
    log,
    metrics,
    tracing,
    idempotency,
    rates: config.rateLimit === 0 ? undefined : new RequestRates(config.rateLimit),
    authenticate: (token) => access.authenticate(token),
    watch: (caller, mayGoOn, end) => access.watch(caller, mayGoOn, end),
    audit: new CallAudit(audit, identity.refusals),
    checkAnswers: config.checkAnswers,
    trustedProxies: config.trustedProxies,
    crossOrigin: { origins: config.corsOrigins },
    hostNames: isLoopback(config.host) ? config.allowedHosts : undefined,
  });
  registerRoutes(http, {
    store,
    databaseVersion,
    wakeups,
    sessionLog,
    sessions,
    messages,
    acceptance,
    builds,
    opener,
    pool,
    operations,
    metrics,
    operator,
    runtime: driver,
    access,
    audit,
    keyring,
    login: identity.login,
    passwords: identity.passwords,
    throttle: identity.throttle,
    allowLocalSources,
  });
  closers.push(() => http.api.drain(DRAIN_MS));
  await http.listen({ host: config.host, port: config.port });
  await operator.begin();
  const { address, family, port } = http.server.address() as AddressInfo;
  const host = address === "0.0.0.0" || address === "::" ? "127.0.0.1" : family === "IPv6" ? `[${address}]` : address;
  return { url: `http://${host}:${port}`, runtime: driver.name, reason: runtime.reason, close };
}

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { API_BASE } from "@raworc/contract";
import type { FastifyInstance, InjectOptions, LightMyRequestResponse } from "fastify";
import { type Identity, openIdentity } from "../../packages/server/src/access/identity.ts";
import type { DatabaseAddress } from "../../packages/server/src/config.ts";
import { CallAudit } from "../../packages/server/src/http/call-audit.ts";
import { Idempotency } from "../../packages/server/src/http/idempotency.ts";
import { describeApi } from "../../packages/server/src/http/openapi/document.ts";
import { RequestRates } from "../../packages/server/src/http/request-rates.ts";
import { registerRoutes } from "../../packages/server/src/http/routes.ts";
import { createHttpServer } from "../../packages/server/src/http/server.ts";
import { Builds } from "../../packages/server/src/operator/builds.ts";
import { BuiltAgents } from "../../packages/server/src/operator/built-agents.ts";
import { ColdStarts } from "../../packages/server/src/operator/cold-starts.ts";
import { Faults } from "../../packages/server/src/operator/faults.ts";
import { Idle } from "../../packages/server/src/operator/idle.ts";
import { MessageAcceptance } from "../../packages/server/src/operator/message-acceptance.ts";
import { Messages } from "../../packages/server/src/operator/messages.ts";
import { SessionLog } from "../../packages/server/src/operator/session-log.ts";
import { SessionOpener } from "../../packages/server/src/operator/session-opener.ts";
import { Sessions } from "../../packages/server/src/operator/sessions.ts";
import { Wakeups } from "../../packages/server/src/operator/wakeups.ts";
import { WarmPool } from "../../packages/server/src/operator/warm-pool.ts";
import { DriverError, type RuntimeDriver } from "../../packages/server/src/runtime/driver.ts";
import { loadKeys } from "../../packages/server/src/security/keys.ts";
import { RequestSeal } from "../../packages/server/src/security/request-seal.ts";
import { DatabaseVersion } from "../../packages/server/src/store/database-version.ts";
import { isListedServer } from "../../packages/server/src/store/servers.ts";
import { openStore, type Store } from "../../packages/server/src/store/store.ts";
import { createLog } from "../../packages/server/src/telemetry/log.ts";
import { Metrics } from "../../packages/server/src/telemetry/metrics.ts";
import { Operations } from "../../packages/server/src/telemetry/operations.ts";
import { AnswerCheck } from "./answer-check.ts";
import { openLoneServer } from "./lone-server.ts";

const NOTHING = { kind: "session", status: "absent", containerId: null, volumeId: null, outOfMemory: false } as const;

/** A driver that has no computers, and says so whatever it is asked to do. */
function noDriver(): RuntimeDriver {
  const refuse = async (): Promise<never> => {
    throw new DriverError("There are no computers in this test", { transient: false });
  };
  return new Proxy({} as RuntimeDriver, {
    get: (_, name) => {
      if (name === "check") return async () => ({ ok: true, detail: "" });
      if (name === "name") return "sandbox";
      if (name === "close") return async () => undefined;
      if (name === "usage") return async () => ({ cpuSeconds: 0, memoryBytes: 0 });
      if (name === "observe") return async (id: string) => ({ ...NOTHING, id });
      if (name === "socketDirectory") return () => "/nonexistent";
      if (name === "buildTag") return () => "none";
      return refuse;
    },
  });
}

/** Everything of a control plane that answers calls, over a real database, without computers and without a port. */
export interface ControlPlane {
  readonly app: FastifyInstance;
  readonly identity: Identity;
  readonly plainStore: Store;
  readonly directory: string;
  readonly logLines: readonly string[];
  /** Calls the API; `token` may be left out. */
  call(method: InjectOptions["method"], path: string, options?: CallOptions): Promise<LightMyRequestResponse>;
  login(user: string, pass: string): Promise<string>;
  close(): Promise<void>;
}

export interface CallOptions {
  readonly token?: string | undefined;
  readonly body?: unknown;
  readonly headers?: Readonly<Record<string, string>>;
}

export interface ControlPlaneOptions {
  /** Taken over from one that was closed before; whoever gives it removes it. */
  readonly directory?: string;
  /** SQLite in the directory unless told. */
  readonly database?: DatabaseAddress;
  readonly serverId?: string;
  readonly rateLimit?: number;
}

export async function openControlPlane(given: ControlPlaneOptions = {}): Promise<ControlPlane> {
  const directory = given.directory ?? (await mkdtemp(join(tmpdir(), "raworc-access-")));
  const logLines: string[] = [];
  const log = createLog("debug", { write: (line: string) => void logLines.push(line) });
  const keys = await loadKeys({ dataDirectory: directory });
  const path = join(directory, "raworc.db");
  const databaseVersion = new DatabaseVersion(await openStore(given.database ?? { kind: "sqlite", path }));
  const plainStore = databaseVersion.store;
  const identity = await openIdentity(plainStore, keys, { dataDirectory: directory }, log);
  const { access, audit, store } = identity;
  const driver = noDriver();
  const wakeups = new Wakeups();
  const sessionLog = new SessionLog(store, wakeups);
  const environmentOf = async () => ({});
  const faults = new Faults();
  const lone = await openLoneServer(plainStore, wakeups, log, directory);
  const metrics = new Metrics();
  const operations = new Operations({ log, metrics });
  const shared = { operations, store, wakeups, leases: lone.leases, errands: lone.errands, driver, log, faults };
  const coldStarts = new ColdStarts();
  const pool = new WarmPool({ ...shared, coldStarts });
  const sessions = new Sessions({
    ...shared,
    coldStarts,
    sessionLog,
    environmentOf,
    onLost: () => undefined,
    onReady: () => undefined,
    onUnused: () => undefined,
  });
  const idle = new Idle({ ...shared, sessionLog, sessions });
  const opener = new SessionOpener({ ...shared, sessionLog, sessions, pool, environmentOf });
  const builtAgents = new BuiltAgents(store.read);
  const messages = new Messages({ ...shared, sessionLog, sessions, builtAgents });
  const acceptance = new MessageAcceptance({ ...shared, sessionLog, messages, builtAgents });
  const builds = new Builds({
    ...shared,
    environment: {},
    allowLocalSources: true,
    onCompleted: () => undefined,
  });
  const app = createHttpServer({
    log,
    metrics,
    idempotency: new Idempotency({
      store: plainStore,
      seal: new RequestSeal(keys.signing),
      serverId: () => given.serverId ?? "this",
      isAlive: (id) => isListedServer(store.read, id),
    }),
    rates: given.rateLimit === undefined ? undefined : new RequestRates(given.rateLimit),
    authenticate: (token) => access.authenticate(token),
    watch: (caller, mayGoOn, end) => access.watch(caller, mayGoOn, end),
    audit: new CallAudit(audit, identity.refusals),
    checkAnswers: true,
  });
  const answers = new AnswerCheck(describeApi());
  const undescribed: string[] = [];
  app.addHook("onSend", async (request, reply, payload) => {
    const type = reply.getHeader("content-type");
    const fault = answers.problemOf({
      method: request.method,
      url: request.url,
      status: reply.statusCode,
      contentType: typeof type === "string" ? type : undefined,
      body: typeof payload === "string" ? payload : "",
    });
    if (fault !== undefined) undescribed.push(fault);
    return payload;
  });
  registerRoutes(app, {
    ...identity,
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
    operator: { running: () => true },
    runtime: driver,
    allowLocalSources: true,
  });
  await app.ready();

  const call: ControlPlane["call"] = (method, path, { token, body, headers } = {}) =>
    app.inject({
      method: method ?? "GET",
      url: `${API_BASE}${path}`,
      headers: { ...(token === undefined ? {} : { authorization: `Bearer ${token}` }), ...headers },
      ...(body === undefined ? {} : { payload: body as object }),
    });
  return {
    app,
    identity,
    plainStore,
    directory,
    logLines,
    call,
    login: async (user, pass) => {
      const answer = await call("POST", "/auth/login", { body: { user, pass } });
      if (answer.statusCode !== 200) throw new Error(`Login of ${user}: ${answer.body}`);
      return answer.json<{ token: string }>().token;
    },
    close: async () => {
      await app.api.drain(1000);
      await Promise.all([messages.close(), builds.close(), idle.close(), pool.close()]);
      await sessions.close();
      await lone.close();
      await identity.close();
      await plainStore.close();
      if (given.directory === undefined) await rm(directory, { recursive: true, force: true });
      if (undescribed.length > 0)
        throw new Error(`Answers that the API's document doesn't describe:\n${undescribed.join("\n")}`);
    },
  };
}

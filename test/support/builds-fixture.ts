import { randomUUIDv7 } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DEFAULT_LIMITS } from "@raworc/contract";
import { type Logger, pino } from "pino";
import { vi } from "vitest";
import { readHandedOn } from "../../packages/server/src/handed-on.ts";
import { agentsOfBuild, referenceOfBuild } from "../../packages/server/src/operator/build-reference.ts";
import { Builds, requestBuild } from "../../packages/server/src/operator/builds.ts";
import { Faults } from "../../packages/server/src/operator/faults.ts";
import { OldBuilds } from "../../packages/server/src/operator/old-builds.ts";
import { sweepComputers } from "../../packages/server/src/operator/sweep.ts";
import { Wakeups } from "../../packages/server/src/operator/wakeups.ts";
import type { RuntimeDriver } from "../../packages/server/src/runtime/driver.ts";
import type { DriverOptions } from "../../packages/server/src/runtime/driver-options.ts";
import { EgressProxy } from "../../packages/server/src/runtime/egress.ts";
import { HostConnection } from "../../packages/server/src/runtime/host-connection.ts";
import { ensureHostProgram } from "../../packages/server/src/runtime/host-program.ts";
import { insertAgent } from "../../packages/server/src/store/agents.ts";
import { listBuildLog } from "../../packages/server/src/store/build-logs.ts";
import { findBuild, type StoredBuild, updateBuild } from "../../packages/server/src/store/builds.ts";
import { findLeaseHolder } from "../../packages/server/src/store/leases.ts";
import { insertSpace, type StoredSpace } from "../../packages/server/src/store/spaces.ts";
import { openStore, type Store } from "../../packages/server/src/store/store.ts";
import { type LoneServer, openLoneServer } from "./lone-server.ts";

/** What an agent is registered with, beside its name. */
export interface AgentSource {
  readonly repository: string;
  readonly folder?: string;
  readonly branch?: string;
}

export interface BuildsFixtureOptions {
  readonly makeDriver: (options: DriverOptions) => Promise<RuntimeDriver>;
  /** CA certificates for builds. Default: this machine's, where its environment names them. */
  readonly certificates?: string;
  /** Hosts that builds may reach at private addresses. */
  readonly mirrorHosts?: readonly string[];
}

/** The operator's builds with a real store and a real driver, without the API above them. */
export class BuildsFixture {
  readonly store: Store;
  readonly driver: RuntimeDriver;
  #builds: Builds;
  readonly #makeBuilds: () => Builds;
  readonly #wakeups: Wakeups;
  readonly #egress: EgressProxy;
  readonly #lone: LoneServer;
  readonly #log: Logger;
  readonly #directory: string;

  private constructor(
    directory: string,
    store: Store,
    driver: RuntimeDriver,
    egress: EgressProxy,
    environment: Record<string, string>,
    wakeups: Wakeups,
    lone: LoneServer,
    log: Logger,
  ) {
    this.#directory = directory;
    this.store = store;
    this.driver = driver;
    this.#egress = egress;
    this.#wakeups = wakeups;
    this.#lone = lone;
    this.#log = log;
    const { leases } = lone;
    const onCompleted = () => undefined;
    this.#makeBuilds = () =>
      new Builds({
        store,
        wakeups,
        leases,
        driver,
        log,
        faults: new Faults(),
        environment,
        onCompleted,
        allowLocalSources: true,
      });
    this.#builds = this.#makeBuilds();
  }

  static async open({ makeDriver, certificates, mirrorHosts = [] }: BuildsFixtureOptions): Promise<BuildsFixture> {
    const directory = await mkdtemp(join(tmpdir(), "raworc-builds-"));
    const variables = { ...process.env, ...(certificates === undefined ? {} : { SSL_CERT_FILE: certificates }) };
    const handedOn = readHandedOn(variables, (name, problem) => {
      throw new Error(`${name} ${problem}`);
    });
    const log = pino({ level: process.env["RAWORC_TEST_LOG"] ?? "silent" });
    const hosts = [...handedOn.mirrorHosts, ...mirrorHosts];
    const egress = new EgressProxy({ log, mirrorHosts: hosts });
    const driver = await makeDriver({
      instanceId: randomUUIDv7(),
      dataDirectory: directory,
      hostProgram: await ensureHostProgram(directory),
      egress,
      certificates: handedOn.certificates,
      mirrorHosts: hosts,
      userHome: process.env["HOME"] ?? "/root",
      path: process.env["PATH"] ?? "",
      log,
    });
    const store = await openStore({ kind: "sqlite", path: join(directory, "raworc.db") });
    const wakeups = new Wakeups();
    const lone = await openLoneServer(store, wakeups, log, directory);
    return new BuildsFixture(directory, store, driver, egress, { ...handedOn.environment }, wakeups, lone, log);
  }

  async close(): Promise<void> {
    await this.#builds.close();
    await this.#lone.close();
    await this.driver.reset();
    await this.driver.close();
    await this.#egress.close();
    await this.store.close();
    await rm(this.#directory, { recursive: true, force: true });
  }

  /** Ends the operator's builds as a server that stops does, and begins them as the next one does. */
  async restart(): Promise<void> {
    await this.#builds.close();
    this.#builds = this.#makeBuilds();
    await sweepComputers({ store: this.store, driver: this.driver, leases: this.#lone.leases, log: this.#log });
    await this.#builds.begin();
  }

  /** A builder such as a killed server leaves behind. */
  async leaveBuilder(): Promise<void> {
    const spec = { spaceId: randomUUIDv7(), limits: DEFAULT_LIMITS, network: { mode: "none" }, root: false } as const;
    const builder = { ...spec, id: randomUUIDv7(), kind: "builder", build: null, mounts: [] } as const;
    await this.driver.start(builder, new AbortController().signal);
  }

  /** A new space with these agents. */
  space(agents: Readonly<Record<string, AgentSource>>): Promise<StoredSpace> {
    return this.store.write(async (transaction) => {
      const name = `space-${randomUUIDv7()}`;
      const space = await insertSpace(transaction, { name, description: "", settings: {}, createdBy: "test" });
      for (const [agent, { repository, folder = null, branch = null }] of Object.entries(agents)) {
        const source = { source_repo: repository, source_path: folder, source_branch: branch };
        await insertAgent(transaction, space.id, "test", { name: agent, description: "", purpose: "", ...source });
      }
      return space;
    });
  }

  /** Asks for a build of a space and waits for its end. */
  async build(space: StoredSpace, options: { readonly force?: boolean } = {}): Promise<StoredBuild> {
    const { id } = await this.start(space, options);
    return this.end(id);
  }

  async start(space: StoredSpace, { force = false }: { readonly force?: boolean } = {}): Promise<StoredBuild> {
    const build = await this.store.write((transaction) =>
      requestBuild(transaction, space.id, { forceRebuild: force, gather: false }),
    );
    this.#builds.wake(space.id);
    return build;
  }

  /** Something of a space has changed; resolves when nothing is left to do for its builds. */
  async settle(space: StoredSpace): Promise<void> {
    this.#builds.wake(space.id);
    const lease = { kind: "builds", key: space.id };
    const record = () => Promise.reject(new Error("It is only asked"));
    const oldBuilds = new OldBuilds({ store: this.store, driver: this.driver, log: this.#log, record });
    await vi.waitFor(
      async () => {
        if (await oldBuilds.hasWork(space.id)) throw new Error("old builds are still to be removed");
        if ((await findLeaseHolder(this.store.read, lease)) !== undefined) throw new Error("builds go on");
      },
      { timeout: 30_000 },
    );
  }

  async cancel(build: StoredBuild): Promise<void> {
    await this.store.write((transaction) => updateBuild(transaction, build.id, { cancel_requested: true }));
    this.#builds.interrupt(build.space_id);
  }

  end(buildId: string): Promise<StoredBuild> {
    return this.#when(buildId, async () => {
      const build = await findBuild(this.store.read, buildId);
      return build === undefined || build.completed_at === null ? undefined : build;
    });
  }

  /** Resolves when a line of the build's log holds the text. Throws when the build has ended without it. */
  async logged(buildId: string, text: string): Promise<void> {
    await this.#when(buildId, async () => {
      const build = await findBuild(this.store.read, buildId);
      const log = await this.log(buildId);
      if (log.includes(text)) return true;
      if (build?.completed_at == null) return undefined;
      throw new Error(`The build ended without "${text}": ${build?.error}\n${log}`);
    });
  }

  async log(buildId: string): Promise<string> {
    const lines = await listBuildLog(this.store.read, buildId, 0, 100_000);
    return lines.map(({ line }) => line).join("\n");
  }

  /** Starts a session computer from a build, sends each agent a message, and gives the replies. */
  async ask(build: StoredBuild, messages: Readonly<Record<string, string>>): Promise<Record<string, string>> {
    const id = randomUUIDv7();
    const { signal } = new AbortController();
    const connection = new HostConnection(this.driver.socketDirectory(id));
    const replies: Record<string, string> = {};
    try {
      await this.driver.start(
        {
          id,
          kind: "session",
          spaceId: build.space_id,
          limits: DEFAULT_LIMITS,
          network: { mode: "none" },
          root: false,
          build: referenceOfBuild(build),
          mounts: [],
        },
        signal,
      );
      const agents = [...agentsOfBuild(build)];
      await connection.claim({ session_id: id, space: "test", environment: {}, agents }, signal);
      for (const [agent, content] of Object.entries(messages)) {
        const message_id = randomUUIDv7();
        const about = { session_id: id, space: "test", message_id, agent };
        const context = {
          ...about,
          timestamp: new Date().toISOString(),
          created_by: "test",
          history: [],
          metadata: {},
        };
        for await (const line of connection.message({ message_id, agent, content, context }, { from: 0, signal })) {
          if (line.type === "end") replies[agent] = line.error === undefined ? line.content : `! ${line.error.message}`;
        }
      }
      return replies;
    } finally {
      connection.close();
      await this.driver.remove(id, { volume: true });
    }
  }

  async #when<T>(buildId: string, look: () => Promise<T | undefined>): Promise<T> {
    const changes: (() => void)[] = [];
    const stop = this.#wakeups.on("build", buildId, () => {
      for (const changed of changes.splice(0)) changed();
    });
    try {
      for (;;) {
        const change = new Promise<void>((resolve) => changes.push(resolve));
        const found = await look();
        if (found !== undefined) return found;
        await change;
      }
    } finally {
      stop();
    }
  }
}

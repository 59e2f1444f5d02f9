import { randomUUIDv7 } from "node:crypto";
import { isRaworcError, RaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import { DriverError, type RuntimeDriver } from "../runtime/driver.ts";
import { listBuildableAgents, type StoredAgent } from "../store/agents.ts";
import {
  type BuildChange,
  type BuiltAgent,
  findBuild,
  findNewestBuild,
  insertBuild,
  listSpacesToBuild,
  type StoredBuild,
  updateBuild,
} from "../store/builds.ts";
import { lockRow } from "../store/locks.ts";
import { forgetRemoval, putRemovals } from "../store/removals.ts";
import { getSpaceById, type StoredSpace } from "../store/spaces.ts";
import type { Store, Transaction } from "../store/store.ts";
import { later, now } from "../store/time.ts";
import type { Operations } from "../telemetry/operations.ts";
import { AgentBuilder } from "./agent-builder.ts";
import { BuildFailure } from "./build/build-failure.ts";
import type { SourceResolver } from "./build/source-resolver.ts";
import { BuildLogWriter } from "./build-log.ts";
import type { Faults } from "./faults.ts";
import { KeyedLoop, type Outcome } from "./keyed-loop.ts";
import { LeaseLost, type Leases } from "./leases.ts";
import { OldBuilds } from "./old-builds.ts";
import type { Wakeups } from "./wakeups.ts";

/** Agents built at the same time, each in a computer of its own. */
const PARALLEL_AGENTS = 2;
/** Changes of agents that come within this time make one build. */
const GATHER_MS = 1000;
const ATTEMPTS_MAX = 4;

export interface BuildsOptions {
  readonly store: Store;
  readonly wakeups: Wakeups;
  readonly leases: Leases;
  readonly driver: RuntimeDriver;
  readonly log: Logger;
  readonly faults: Faults;
  readonly operations?: Operations | undefined;
  readonly environment: Readonly<Record<string, string>>;
  readonly allowLocalSources: boolean;
  /** Called when a space has a new completed build. */
  readonly onCompleted: (spaceId: string) => void;
}

/**
 * Builds the agents of spaces: one build of a space at a time, each agent in a throw-away computer. Of several servers, the
 * one that holds the lease of a space's builds runs them.
 */
export class Builds {
  readonly #options: BuildsOptions;
  readonly #loop: KeyedLoop;
  /** By computer id: builders of servers that have gone. */
  readonly #leftBuilders: KeyedLoop;
  readonly #agentBuilder: AgentBuilder;
  readonly #oldBuilds: OldBuilds;
  readonly #attempts = new Map<string, number>();

  constructor(options: BuildsOptions) {
    this.#options = options;
    this.#oldBuilds = new OldBuilds({ ...options, record: (spaceId, work) => this.#record(spaceId, work) });
    this.#agentBuilder = new AgentBuilder(options);
    this.#loop = new KeyedLoop({
      name: "builds",
      log: options.log,
      concurrency: 4,
      turn: (spaceId, signal) => this.#turn(spaceId, signal),
    });
    this.#leftBuilders = new KeyedLoop({
      name: "left builders",
      log: options.log,
      concurrency: 2,
      turn: (id) => this.#removeLeft(id),
    });
    const { leases, wakeups } = options;
    wakeups.watch("builds", (id) => this.#loop.wake(id));
    wakeups.watch("build-cancel", (id) => this.#loop.interrupt(id));
    leases.share("builds", { onFree: (id) => this.#loop.wake(id), onLost: (id) => this.#loop.interrupt(id) });
    leases.share("builder", { onFree: (id) => this.#leftBuilders.wake(id), onLost: () => undefined });
  }

  /** Runs the builds that a killed server has left again, under their ids; removes what it has left of old ones. */
  async begin(): Promise<void> {
    const { read } = this.#options.store;
    for (const spaceId of await listSpacesToBuild(read)) this.#loop.wake(spaceId);
    for (const spaceId of await this.#oldBuilds.spaces()) this.#loop.wake(spaceId);
  }

  /** A space's builds have changed, or a session of one has gone, or the space itself. */
  wake(spaceId: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("builds", spaceId)) this.#loop.wake(spaceId);
    else wakeups.emit("builds", spaceId, undefined);
  }

  /** The running build may have been cancelled: it is looked at now. */
  interrupt(spaceId: string): void {
    const { leases, wakeups } = this.#options;
    if (leases.holds("builds", spaceId)) this.#loop.interrupt(spaceId);
    else wakeups.emit("build-cancel", spaceId, undefined);
  }

  /** Builds under way are run again by the next server. */
  async close(): Promise<void> {
    await Promise.all([this.#loop.close(), this.#leftBuilders.close()]);
  }

  async #removeLeft(id: string): Promise<Outcome> {
    const { driver, leases, log } = this.#options;
    if (!(await leases.hold("builder", id))) return "done";
    log.info({ builder: id }, "removing a builder whose server has gone");
    await driver.remove(id, { volume: true });
    await leases.release("builder", id);
    return "done";
  }

  async #turn(spaceId: string, signal: AbortSignal): Promise<Outcome> {
    const { leases } = this.#options;
    // What is read before the lease is held may be old by then.
    if (!leases.holds("builds", spaceId)) {
      const hasWork = (await this.#next(spaceId)) !== undefined || (await this.#oldBuilds.hasWork(spaceId));
      if (!hasWork || !(await leases.hold("builds", spaceId))) return "done";
    }
    try {
      const build = await this.#next(spaceId);
      if (build !== undefined) return await this.#take(spaceId, build, signal);
      await this.#oldBuilds.remove(spaceId, signal);
      await leases.release("builds", spaceId);
      return "done";
    } catch (error) {
      if (!(error instanceof LeaseLost)) throw error;
      return { againAfterMs: 0 };
    }
  }

  async #next(spaceId: string): Promise<StoredBuild | undefined> {
    const { read } = this.#options.store;
    return (await findNewestBuild(read, spaceId, "building")) ?? (await findNewestBuild(read, spaceId, "pending"));
  }

  async #take(spaceId: string, build: StoredBuild, signal: AbortSignal): Promise<Outcome> {
    if (build.cancel_requested) {
      await this.#end(build, { status: "cancelled", error: build.error ?? "Cancelled" });
      return { againAfterMs: 0 };
    }
    const wait = Date.parse(build.not_before) - Date.now();
    if (build.status === "pending" && wait > 0) return { againAfterMs: wait };
    const writer = new BuildLogWriter((work) => this.#record(spaceId, work), this.#options.wakeups, build.id);
    this.#options.operations?.begin("build", build.id, { space: spaceId });
    try {
      await this.#run(build, writer, signal);
      this.#attempts.delete(build.id);
    } catch (error) {
      if (signal.aborted) return "done";
      await this.#failed(build, error, writer);
    } finally {
      this.#options.operations?.leave("build", build.id);
      await writer.flush();
    }
    // Another one may have been asked for meanwhile.
    return { againAfterMs: 0 };
  }

  async #run(build: StoredBuild, writer: BuildLogWriter, signal: AbortSignal): Promise<void> {
    const { driver, faults, store } = this.#options;
    const space = await getSpaceById(store.read, build.space_id);
    const agents = await listBuildableAgents(store.read, build.space_id);
    const results: BuiltAgent[] = agents.map(({ name }) => pendingAgent(name));
    if (!(await faults.around("build_begin", () => this.#started(build, results)))) return;
    await writer.add(`build ${build.id} of space ${space.name}: ${agents.length} agents`);

    const failure = await this.#agents(build, space, agents, results, writer, signal);
    signal.throwIfAborted();
    if (failure !== undefined) throw failure;

    // Two agents may be of the same folder.
    const keys = new Set(results.flatMap((agent) => agent.artifact_key ?? []));
    const composition = { buildId: build.id, spaceName: space.name, spaceId: space.id, artifactKeys: [...keys] };
    // From here on the image may be there: it goes unless the build is recorded as completed.
    const image = driver.buildTag(composition);
    const removal = { kind: "build", name: image, space_id: space.id } as const;
    await this.#record(space.id, (transaction) => putRemovals(transaction, [removal]));
    await faults.around("build_compose", () => driver.composeBuild(composition, signal));
    await writer.add(`completed: ${image}`);
    const end = { status: "completed", image_tag: image, agents: results } as const;
    await faults.around("build_end", () => this.#end(build, end));
    this.#options.onCompleted(build.space_id);
  }

  /** Records that the build runs. False when a newer one has replaced it meanwhile. */
  async #started(build: StoredBuild, agents: readonly BuiltAgent[]): Promise<boolean> {
    const started = await this.#record(build.space_id, async (transaction) => {
      await lockRow(transaction, "spaces", build.space_id);
      const current = await findBuild(transaction, build.id);
      if (current?.status !== "pending" && current?.status !== "building") return false;
      await updateBuild(transaction, build.id, { status: "building", started_at: build.started_at ?? now(), agents });
      return true;
    });
    if (started) this.#options.wakeups.emit("build", build.id, undefined);
    return started;
  }

  /** Builds agents, some at the same time, up to the first failure. Throws nothing before all of them have ended. */
  async #agents(
    build: StoredBuild,
    space: StoredSpace,
    agents: readonly StoredAgent[],
    results: BuiltAgent[],
    writer: BuildLogWriter,
    signal: AbortSignal,
  ): Promise<AgentFault | undefined> {
    const stop = new AbortController();
    const all = AbortSignal.any([signal, stop.signal]);
    const resolver = this.#agentBuilder.openResolver(space, (line) => writer.add(line), all);
    const queue = [...agents.entries()];
    let failure: AgentFault | undefined;
    const work = async (): Promise<void> => {
      for (let next = queue.shift(); next !== undefined && !all.aborted; next = queue.shift()) {
        const [index, agent] = next;
        try {
          results[index] = { ...pendingAgent(agent.name), status: "building" };
          await this.#change(build, { agents: results });
          const built = () => this.#agent(build, space, agent, resolver, writer, all);
          results[index] = await this.#options.faults.around("build_agent", built);
          await this.#change(build, { agents: results });
        } catch (error) {
          // What ended only because another one failed, or the build was cancelled, says nothing of its own.
          const cancelled = all.aborted;
          results[index] = { ...pendingAgent(agent.name), ...(cancelled ? CANCELLED : failedAgent(error)) };
          failure ??= new AgentFault(agent.name, error);
          stop.abort();
        }
      }
    };
    try {
      await Promise.all(Array.from({ length: PARALLEL_AGENTS }, work));
    } finally {
      await resolver.close();
    }
    if (failure !== undefined) await this.#change(build, { agents: results });
    return failure;
  }

  async #agent(
    build: StoredBuild,
    space: StoredSpace,
    agent: StoredAgent,
    resolver: SourceResolver,
    writer: BuildLogWriter,
    signal: AbortSignal,
  ): Promise<BuiltAgent> {
    const started = performance.now();
    const result = await this.#agentBuilder.build({
      agent,
      space,
      resolver,
      builderId: randomUUIDv7(),
      force: build.force_rebuild,
      onLine: (line) => writer.add(`${agent.name} | ${line}`),
      record: (work) => this.#record(space.id, work),
      signal,
    });
    const seconds = Math.round((performance.now() - started) / 10) / 100;
    await writer.add(`${agent.name} | ${result.cached ? "unchanged" : "built"} at ${result.commit} in ${seconds} s`);
    return {
      name: agent.name,
      runtime: result.manifest.runtime,
      commit: result.commit,
      cached: result.cached,
      status: "completed",
      seconds,
      error: null,
      artifact_key: result.artifactKey,
      manifest: result.manifest,
    };
  }

  async #failed(build: StoredBuild, fault: unknown, writer: BuildLogWriter): Promise<void> {
    const { agent, error } = fault instanceof AgentFault ? fault : { agent: undefined, error: fault };
    // The store is away: this is not the build's fault, and can't be recorded either.
    if (isRaworcError(error, "not_ready") || error instanceof LeaseLost) throw error;
    const attempts = (this.#attempts.get(build.id) ?? 0) + 1;
    this.#attempts.set(build.id, attempts);
    const expected = error instanceof BuildFailure || error instanceof RaworcError;
    const again = !expected && !(error instanceof DriverError && !error.transient) && attempts < ATTEMPTS_MAX;
    if (again) {
      await writer.add(`${describe(error)} The build is tried again.`);
      throw error;
    }
    this.#attempts.delete(build.id);
    if (!expected) this.#options.log.error({ err: error, build: build.id }, "build failed");
    const of = agent === undefined ? "" : `${agent}: `;
    // The log has its own lines already.
    await writer.add(`failed: ${of}${error instanceof BuildFailure ? error.message : describe(error)}`);
    await this.#end(build, { status: "failed", error: `${of}${describe(error)}` });
  }

  async #end(build: StoredBuild, change: BuildChange): Promise<void> {
    const current = await findBuild(this.#options.store.read, build.id);
    const agents = (change.agents ?? current?.agents ?? []).map((agent) =>
      agent.status === "pending" || agent.status === "building" ? { ...agent, status: "cancelled" as const } : agent,
    );
    await this.#change(build, { ...change, agents, completed_at: now() });
    this.#options.operations?.end("build", build.id, change.status ?? "failed", {
      agents: agents.length,
      cached: agents.filter(({ cached }) => cached).length,
    });
  }

  async #change({ id, space_id }: StoredBuild, change: BuildChange): Promise<void> {
    await this.#record(space_id, async (transaction) => {
      const { image_tag: name } = await updateBuild(transaction, id, change);
      if (name !== null) await forgetRemoval(transaction, { kind: "build", name });
    });
    this.#options.wakeups.emit("build", id, undefined);
  }

  /** Throws LeaseLost, and writes nothing, when another server runs the space's builds now. */
  #record<T>(spaceId: string, work: (transaction: Transaction) => Promise<T>): Promise<T> {
    const { leases, store } = this.#options;
    return store.write(async (transaction) => {
      await leases.guard(transaction, "builds", spaceId);
      return work(transaction);
    });
  }
}

/** What an agent made the build fail with. */
class AgentFault extends Error {
  override readonly name = "AgentFault";
  readonly agent: string;
  readonly error: unknown;

  constructor(agent: string, error: unknown) {
    super(agent, { cause: error });
    this.agent = agent;
    this.error = error;
  }
}

function pendingAgent(name: string): BuiltAgent {
  const nothing = { runtime: null, commit: null, seconds: null, error: null, artifact_key: null, manifest: null };
  return { name, ...nothing, cached: false, status: "pending" };
}

const CANCELLED = { status: "cancelled", error: null } as const;

function failedAgent(error: unknown): Pick<BuiltAgent, "status" | "error"> {
  return { status: "failed", error: describe(error) };
}

function describe(error: unknown): string {
  if (error instanceof BuildFailure || error instanceof DriverError) return error.describe();
  if (error instanceof RaworcError) return error.message;
  return "The server failed while it built; its log says why.";
}

/**
 * Records a request to build a space. A pending one is replaced and names the newer; changes of agents that come within a
 * second join the pending one.
 */
export async function requestBuild(
  transaction: Transaction,
  spaceId: string,
  request: { readonly forceRebuild: boolean; readonly gather: boolean },
): Promise<StoredBuild> {
  // Requests for a space, and the start of what they ask for, come one after the other.
  await lockRow(transaction, "spaces", spaceId);
  const pending = await findNewestBuild(transaction, spaceId, "pending");
  if (pending !== undefined && request.gather && pending.not_before > pending.created_at) {
    return updateBuild(transaction, pending.id, { not_before: later(GATHER_MS) });
  }
  const notBefore = request.gather ? later(GATHER_MS) : now();
  const build = await insertBuild(transaction, { spaceId, forceRebuild: request.forceRebuild, notBefore });
  if (pending !== undefined) {
    const error = `Replaced by the newer build ${build.id}`;
    await updateBuild(transaction, pending.id, { status: "cancelled", completed_at: now(), error });
  }
  return build;
}

/** Starts a build after a change of an agent, unless the space says otherwise. */
export async function requestAutoBuild(transaction: Transaction, space: StoredSpace): Promise<StoredBuild | undefined> {
  if (space.settings.auto_build === false) return undefined;
  return requestBuild(transaction, space.id, { forceRebuild: false, gather: true });
}

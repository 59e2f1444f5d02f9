import type { ResolvedManifest } from "@raworc/contract";
import type { Logger } from "pino";
import { artifactKey } from "../domain/artifact-key.ts";
import { limitsOfSpace } from "../domain/limits.ts";
import { parseSource } from "../domain/source.ts";
import type { ComputerSpec, RuntimeDriver } from "../runtime/driver.ts";
import type { StoredAgent } from "../store/agents.ts";
import { findNewestArtifact, putArtifact } from "../store/artifacts.ts";
import { putRemovals } from "../store/removals.ts";
import type { StoredSpace } from "../store/spaces.ts";
import type { Store, Transaction } from "../store/store.ts";
import { buildAgent } from "./build/build-agent.ts";
import { Builder } from "./build/builder.ts";
import type { ResolvedSource } from "./build/resolve-source.ts";
import { accessSource, type SourceAccess } from "./build/source-access.ts";
import { SourceResolver } from "./build/source-resolver.ts";
import { artifactPath } from "./build-reference.ts";
import type { Leases } from "./leases.ts";

/** Building takes more than running: what a builder has at least, whatever the space's sessions have. */
const BUILDER_LIMITS: ComputerSpec["limits"] = { cpus: 2, memory_mb: 4096, disk_mb: 20_480, pids: 2048 };

export interface AgentBuilderOptions {
  readonly store: Store;
  readonly driver: RuntimeDriver;
  readonly leases: Leases;
  readonly log: Logger;
  /** What the server's configuration hands to builds: package mirrors, certificates, proxies. */
  readonly environment: Readonly<Record<string, string>>;
  readonly allowLocalSources: boolean;
}

export interface AgentBuildRequest {
  readonly agent: StoredAgent;
  readonly space: StoredSpace;
  /** Shared by the agents of one build. */
  readonly resolver: SourceResolver;
  readonly builderId: string;
  /** Build again what is there already. */
  readonly force: boolean;
  readonly onLine: (line: string) => Promise<void>;
  /** Writes what only the server that runs the space's builds may write. */
  readonly record: <T>(work: (transaction: Transaction) => Promise<T>) => Promise<T>;
  readonly signal: AbortSignal;
}

export interface AgentBuildResult {
  readonly commit: string;
  readonly artifactKey: string;
  readonly manifest: ResolvedManifest;
  readonly cached: boolean;
}

/** Turns agents into artifacts, each in a throw-away computer of its own. What is there already is not built again. */
export class AgentBuilder {
  readonly #options: AgentBuilderOptions;

  constructor(options: AgentBuilderOptions) {
    this.#options = options;
  }

  /** For one build; whoever opens it closes it. */
  openResolver(space: StoredSpace, onLine: (line: string) => Promise<void>, signal: AbortSignal): SourceResolver {
    const { driver, environment, leases, log } = this.#options;
    return new SourceResolver({
      driver,
      leases,
      environment,
      log,
      limits: limitsFor(space),
      onLine,
      signal,
      spaceId: space.id,
    });
  }

  /** Leaves no builder behind. Throws RaworcError or BuildFailure for what is wrong with the agent; DriverError; the signal's reason. */
  async build(request: AgentBuildRequest): Promise<AgentBuildResult> {
    const { agent, force, record, resolver, signal, space } = request;
    const { allowLocalSources, driver } = this.#options;
    const source = await accessSource(parseSource(agent.source_repo, { allowLocalSources }));
    const resolved = await resolver.resolve(source, agent.source_branch);
    signal.throwIfAborted();
    const { commit } = resolved;
    const same = { spaceId: space.id, commit, folder: agent.source_path, toolchain: await driver.toolchain() };
    const identity = artifactKey({ ...same, generation: 0 });
    const newest = await findNewestArtifact(this.#options.store.read, identity);
    if (!force && newest !== undefined && (await driver.hasArtifact(newest.key))) {
      return { commit, artifactKey: newest.key, manifest: newest.manifest, cached: true };
    }
    const generation = newest === undefined ? 0 : newest.generation + (force ? 1 : 0);
    const key = artifactKey({ ...same, generation });
    // From here on its files may be there: they go unless they are recorded.
    await record((transaction) => putRemovals(transaction, [{ kind: "artifact", name: key, space_id: space.id }]));
    const manifest = await this.#build(request, source, resolved, key);
    await record((transaction) => putArtifact(transaction, { key, identity, generation, spaceId: space.id, manifest }));
    return { commit, artifactKey: key, manifest, cached: false };
  }

  async #build(
    request: AgentBuildRequest,
    source: SourceAccess,
    resolved: ResolvedSource,
    key: string,
  ): Promise<ResolvedManifest> {
    const { agent, builderId, onLine, signal, space } = request;
    const spec = { id: builderId, spaceId: space.id, limits: limitsFor(space), mounts: source.mounts };
    const builder = await Builder.open(this.#options, spec, signal);
    try {
      const artifact = artifactPath(key);
      const context = { computer: builder, environment: this.#options.environment, onLine, signal };
      const manifest = await buildAgent(context, { source, resolved, folder: agent.source_path, artifact });
      await onLine("# store the artifact");
      await builder.storeArtifact(key, artifact, signal);
      return manifest;
    } finally {
      await builder.close();
    }
  }
}

function limitsFor(space: StoredSpace): ComputerSpec["limits"] {
  const limits = limitsOfSpace(space.settings);
  return {
    cpus: Math.max(limits.cpus, BUILDER_LIMITS.cpus),
    memory_mb: Math.max(limits.memory_mb, BUILDER_LIMITS.memory_mb),
    disk_mb: Math.max(limits.disk_mb, BUILDER_LIMITS.disk_mb),
    pids: Math.max(limits.pids, BUILDER_LIMITS.pids),
  };
}

import type { Limits, ResolvedManifest } from "@raworc/contract";
import { artifactKey } from "../domain/artifact-key.ts";
import { parseSource } from "../domain/source.ts";
import type { ComputerSpec, RuntimeDriver } from "../runtime/driver.ts";
import { HostConnection } from "../runtime/host-connection.ts";
import type { StoredAgent } from "../store/agents.ts";
import { buildAgent } from "./build/build-agent.ts";
import { localSourceMounts } from "./build/local-source.ts";
import { resolveSource } from "./build/resolve-source.ts";
import { artifactPath } from "./build-reference.ts";

/** Building takes more than running: what a builder has at least, whatever the space's sessions have. */
const BUILDER_LIMITS: Limits = { cpus: 2, memory_mb: 4096, disk_mb: 20_480, pids: 2048 };

export interface AgentBuilderOptions {
  readonly driver: RuntimeDriver;
  readonly environment: Readonly<Record<string, string>>;
  readonly allowLocalSources: boolean;
}

export interface AgentBuildRequest {
  readonly agent: StoredAgent;
  readonly builderId: string;
  readonly limits: Limits;
  /** Build again what is there already. */
  readonly force: boolean;
  readonly onLine: (line: string) => Promise<void>;
  readonly signal: AbortSignal;
}

export interface AgentBuildResult {
  readonly commit: string;
  readonly artifactKey: string;
  readonly manifest: ResolvedManifest;
  readonly cached: boolean;
}

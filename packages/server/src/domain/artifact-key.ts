import { createHash } from "node:crypto";

/** Raised when the same commit would be built into something else: other steps, another layout, another shim for Rust. */
const FORMAT = 1;

export interface ArtifactIdentity {
  /** Internal id of the space. A server that a tenant runs may claim any commit: no space gets another's artifacts by it. */
  readonly spaceId: string;
  /** Full hash. It stands for all content below it, the manifest and the submodules' commits included. */
  readonly commit: string;
  /** Folder of the agent in the repository; null is its root. */
  readonly folder: string | null;
  /** What builds and runs agents: RuntimeDriver.toolchain(). */
  readonly toolchain: string;
  /** How often the same was built again on demand. Artifacts never change: sessions may be using the one before. */
  readonly generation: number;
}

/**
 * Name of a built agent: the same identity gives the same artifact, under whatever name the agent is registered. Safe as a
 * name of a folder.
 */
export function artifactKey({ spaceId, commit, folder, toolchain, generation }: ArtifactIdentity): string {
  const parts = (folder ?? "").split("/").filter((part) => part !== "" && part !== ".");
  const identity = JSON.stringify([FORMAT, spaceId, commit.toLowerCase(), parts.join("/"), toolchain, generation]);
  return createHash("sha256").update(identity).digest("hex");
}

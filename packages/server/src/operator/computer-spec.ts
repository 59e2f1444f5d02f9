import { createHash } from "node:crypto";
import type { Limits, Network } from "@raworc/contract";
import type { ComputerSpec } from "../runtime/driver.ts";
import type { StoredBuild } from "../store/builds.ts";
import type { StoredSpace } from "../store/spaces.ts";
import { referenceOfBuild } from "./build-reference.ts";

export interface SessionShape {
  readonly id: string;
  readonly limits: Limits;
  readonly network: Network;
}

/** The computer of a session of this space and build. */
export function sessionComputer(
  { id, limits, network }: SessionShape,
  space: StoredSpace,
  build: StoredBuild | undefined,
): ComputerSpec {
  return {
    id,
    kind: "session",
    spaceId: space.id,
    limits,
    network,
    root: space.settings.root ?? false,
    build: build === undefined ? null : referenceOfBuild(build),
    mounts: [],
  };
}

/** What of a computer can't be changed any more once it is made, as a hash. */
export function fixedShape(spec: ComputerSpec): string {
  const { limits, network, root } = spec;
  const fixed = [limits.disk_mb, network.mode, [...(network.allow ?? [])].sort(), root];
  return createHash("sha256").update(JSON.stringify(fixed)).digest("hex");
}

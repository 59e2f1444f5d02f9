import { readFile, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { type BuildComposition, DriverError } from "../driver.ts";
import type { Artifacts } from "./artifacts.ts";
import { checkName, type Layout } from "./layout.ts";

/** Builds of spaces. Sessions get the artifacts themselves as mounts, so a build is a note of what belongs to it. */
export class BuildRecords {
  readonly #layout: Layout;
  readonly #artifacts: Artifacts;

  constructor(layout: Layout, artifacts: Artifacts) {
    this.#layout = layout;
    this.#artifacts = artifacts;
  }

  tag({ buildId, spaceName }: Pick<BuildComposition, "spaceName" | "buildId">): string {
    return `raworc_space_${spaceName}:${buildId}`;
  }

  async compose({ buildId, spaceName, spaceId, artifactKeys }: BuildComposition): Promise<string> {
    const missing = artifactKeys.filter((key) => !this.#artifacts.has(key));
    if (missing.length > 0) {
      throw new DriverError(`Artifacts of build ${buildId} are gone: ${missing.join(", ")}. Build the space again.`, {
        transient: false,
      });
    }
    const imageTag = this.tag({ buildId, spaceName });
    const path = this.#path(buildId);
    await writeFile(`${path}.new`, JSON.stringify({ imageTag, spaceId, artifactKeys }));
    await rename(`${path}.new`, path);
    return imageTag;
  }

  async remove(imageTag: string): Promise<void> {
    const path = this.#path(imageTag.slice(imageTag.lastIndexOf(":") + 1));
    const text = await readFile(path, "utf8").catch(() => undefined);
    if (text?.includes(JSON.stringify(imageTag))) await rm(path, { force: true });
  }

  #path(buildId: string): string {
    return join(this.#layout.builds, `${checkName(buildId)}.json`);
  }
}

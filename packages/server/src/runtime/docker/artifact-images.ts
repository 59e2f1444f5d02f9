import type { IncomingMessage } from "node:http";
import { pipeline, Readable } from "node:stream";
import { COMPUTER } from "@raworc/contract";
import { type BuildComposition, DriverError } from "../driver.ts";
import { readJsonLines } from "../ndjson.ts";
import { ArtifactTar } from "./artifact-tar.ts";
import { InspectedImage, Progress } from "./engine-answers.ts";
import type { EngineClient } from "./engine-client.ts";
import { LABEL, type Labels, type Names } from "./names.ts";
import { TAR_END, tarEntry } from "./tar-header.ts";

const ARTIFACT_MAX_BYTES = 32 * 1024 * 1024 * 1024;
const LINE_MAX_BYTES = 16 * 1024 * 1024;
const KEY = /^[A-Za-z0-9][A-Za-z0-9_.-]{0,127}$/;
const FOLDER_MODE = 2 ** 31;

export interface ArtifactImagesOptions {
  readonly client: EngineClient;
  readonly names: Names;
  readonly sessionImage: string;
}

/**
 * Built agents as images: one for each artifact, which holds its files and nothing else, and one for each build, made from
 * the session image and a layer for each agent. Files of a builder go from the engine to the engine; they never touch a
 * file system of the control plane.
 */
export class ArtifactImages {
  readonly #client: EngineClient;
  readonly #names: Names;
  readonly #sessionImage: string;

  constructor({ client, names, sessionImage }: ArtifactImagesOptions) {
    this.#client = client;
    this.#names = names;
    this.#sessionImage = sessionImage;
  }

  has(key: string): Promise<boolean> {
    return this.#isOurs(this.#artifact(key));
  }

  async store(
    key: string,
    source: { readonly container: string; readonly path: string },
    signal: AbortSignal,
  ): Promise<void> {
    const image = this.#artifact(key);
    if (await this.#isOurs(image)) return;
    const archive = await this.#client.stream({
      method: "GET",
      path: `/containers/${source.container}/archive`,
      // The folder's content without the folder.
      query: { path: `${source.path.replace(/\/+$/, "")}/.` },
      long: true,
      signal,
    });
    if (!isFolder(archive)) {
      archive.destroy();
      throw new DriverError(`The builder has no folder ${source.path} to store.`, { transient: false });
    }
    const tar = new ArtifactTar(ARTIFACT_MAX_BYTES);
    const failed = new Promise<never>((_, reject) => {
      pipeline(archive, tar, (error) => error && reject(error));
    });
    const [repo = "", tag = ""] = image.split(":");
    const answer = await Promise.race([
      failed,
      this.#client.stream({
        method: "POST",
        path: "/images/create",
        query: { fromSrc: "-", repo, tag, changes: this.#labelChange({ [LABEL.kind]: "artifact" }) },
        body: tar,
        long: true,
        signal,
      }),
    ]);
    await Promise.race([failed, readProgress(answer)]);
  }

  removeArtifact(key: string): Promise<void> {
    return this.removeImage(this.#artifact(key));
  }

  async compose(build: BuildComposition, signal: AbortSignal): Promise<string> {
    const tag = this.#names.build(build.spaceName, build.buildId);
    if (await this.#isOurs(tag)) return tag;
    await this.makeBuild(tag, build, signal);
    return tag;
  }

  async makeBuild(
    tag: string,
    build: Pick<BuildComposition, "buildId" | "spaceId" | "artifactKeys">,
    signal: AbortSignal,
  ): Promise<void> {
    const keys = [...new Set(build.artifactKeys)].sort();
    for (const key of keys) {
      if (await this.has(key)) continue;
      const message = `The artifact ${key} of build ${build.buildId} is gone. Build the space again.`;
      throw new DriverError(message, { transient: false });
    }
    const lines = [
      `FROM ${this.#sessionImage}`,
      ...keys.map((key) => `COPY --from=${this.#artifact(key)} / ${COMPUTER.artifacts}/${key}/`),
    ];
    const labels = this.#names.labels({
      [LABEL.kind]: "build",
      [LABEL.space]: build.spaceId,
      [LABEL.build]: build.buildId,
    });
    const context = Buffer.concat([tarEntry("Dockerfile", Buffer.from(`${lines.join("\n")}\n`)), TAR_END]);
    const answer = await this.#client.stream({
      method: "POST",
      path: "/build",
      query: { t: tag, rm: "1", forcerm: "1", labels: JSON.stringify(labels), networkmode: "none" },
      body: Readable.from([context]),
      long: true,
      signal,
    });
    await readProgress(answer);
  }

  /** Absent is fine, and so is another's. */
  async removeImage(tag: string): Promise<void> {
    if (!(await this.#isOurs(tag))) return;
    await this.#client.run({ method: "DELETE", path: `/images/${tag}` }, [404]);
  }

  async #isOurs(image: string): Promise<boolean> {
    const found = await this.#client.find({ method: "GET", path: `/images/${image}/json` }, InspectedImage);
    return this.#names.owns(found?.Config?.Labels);
  }

  #artifact(key: string): string {
    if (!KEY.test(key)) throw new DriverError("This is no key of an artifact.", { transient: false });
    return this.#names.artifact(key);
  }

  #labelChange(more: Labels): string {
    const labels = Object.entries(this.#names.labels(more));
    return `LABEL ${labels.map(([name, value]) => `${name}=${JSON.stringify(value)}`).join(" ")}`;
  }
}

/** The engine tells of what a path is in a header, as JSON in base64. */
function isFolder(archive: IncomingMessage): boolean {
  const header = archive.headers["x-docker-container-path-stat"];
  try {
    const { mode } = JSON.parse(Buffer.from(String(header), "base64").toString("utf8")) as { mode?: unknown };
    return typeof mode === "number" && mode >= FOLDER_MODE;
  } catch {
    return false;
  }
}

/** Reads what a build or an import says. Throws DriverError where it says that it failed. */
async function readProgress(answer: IncomingMessage): Promise<void> {
  let failure: string | undefined;
  for await (const value of readJsonLines(answer, LINE_MAX_BYTES)) {
    const line = Progress.safeParse(value);
    if (line.data?.error !== undefined) failure = line.data.error;
  }
  if (failure === undefined) return;
  const message = `The Docker engine could not make an image: ${failure.slice(0, 500)}`;
  throw new DriverError(message, { transient: true });
}

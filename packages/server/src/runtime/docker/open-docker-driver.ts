import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { z } from "zod";
import { DriverError } from "../driver.ts";
import type { DriverOptions } from "../driver-options.ts";
import type { HostProgramFlags } from "./container-config.ts";
import { DockerDriver } from "./docker-driver.ts";
import { EngineInfo } from "./engine-answers.ts";
import { EngineClient } from "./engine-client.ts";
import { Names } from "./names.ts";
import { PlainVolumes } from "./plain-volumes.ts";
import { Shells } from "./shells.ts";
import { ShortContainers } from "./short-containers.ts";
import { SizedVolumes } from "./sized-volumes.ts";
import { SocketDirectories } from "./socket-directories.ts";

const Flags = z.object({ arguments: z.array(z.string()), environment: z.record(z.string(), z.string()) });
const NO_FLAGS: HostProgramFlags = { arguments: [], environment: {} };

export interface DockerDriverOptions extends DriverOptions {
  /** Null where the engine is not reached by a Unix socket. */
  readonly engineSocket: string | null;
  readonly sessionImage: string;
  /** Left out: beside the session image. */
  readonly builderImage?: string;
}

/** Throws DriverError where the configuration can't work, or no engine answers. */
export async function createDockerDriver(options: DockerDriverOptions): Promise<DockerDriver> {
  if (options.engineSocket === null) {
    const message =
      "The Docker engine is reached by a Unix socket only. Set DOCKER_HOST to unix:///path, or leave it out.";
    throw new DriverError(message, { transient: false });
  }
  const { log, dataDirectory, sessionImage } = options;
  const names = new Names(options.instanceId);
  const directory = join(dataDirectory, "docker", names.folder);
  const sockets = await SocketDirectories.open(join(directory, "s"));
  const client = new EngineClient(options.engineSocket);
  const shortContainers = new ShortContainers(client, names, sessionImage);
  const info = await client.json({ method: "GET", path: "/info" }, EngineInfo).catch((error: unknown) => {
    client.close();
    throw error;
  });
  const engineVolumes = join(info.DockerRootDir, "volumes");
  const shells = new Shells();
  const sized = await SizedVolumes.open({ directory: join(directory, "volumes"), engineVolumes, names, shells });
  if (sized.volumes === undefined) log.info({ reason: sized.problem }, "the disk limit of sessions is not enforced");
  return new DockerDriver({
    ...options,
    client,
    names,
    directory,
    sockets,
    volumes: sized.volumes ?? new PlainVolumes(names, shortContainers),
    shortContainers,
    shells,
    builderImage: options.builderImage ?? sessionImage.replace("session", "builder"),
    flags: await readFlags(options.hostProgram.directory),
    info,
  });
}

/** How Node.js is started for this host program, where it says. */
async function readFlags(directory: string): Promise<HostProgramFlags> {
  const text = await readFile(join(directory, "flags.json"), "utf8").catch(() => undefined);
  return text === undefined ? NO_FLAGS : Flags.parse(JSON.parse(text));
}

import { engineAnswers } from "./docker/engine-client.ts";
import { makeImages } from "./docker/make-images.ts";
import { chooseDriver, type DriverChoice } from "./driver-choice.ts";
import type { DriverOptions } from "./driver-options.ts";

export interface OpenDriverOptions extends DriverOptions {
  readonly runtime: "auto" | "docker" | "sandbox" | "kubernetes";
  /** Null where the engine is not reached by a Unix socket. */
  readonly engineSocket: string | null;
  readonly sessionImage: string;
}

/** The driver that the configuration asks for, ready to work. Throws DriverError where none can. */
export function openDriver(options: OpenDriverOptions): Promise<DriverChoice> {
  const { engineSocket, sessionImage, log } = options;
  return chooseDriver(options.runtime, {
    docker: async () => (await import("./docker/open-docker-driver.ts")).createDockerDriver(options),
    sandbox: async () => (await import("./sandbox/sandbox-driver.ts")).createSandboxDriver(options),
    engineAnswers: () => engineAnswers(engineSocket),
    makeImages: () => makeImages(sessionImage, log),
  });
}

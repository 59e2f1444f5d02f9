import { randomUUID } from "node:crypto";
import { buffer } from "node:stream/consumers";
import { z } from "zod";
import { DriverError } from "../driver.ts";
import type { EngineMount } from "./container-config.ts";
import { Created } from "./engine-answers.ts";
import type { EngineClient } from "./engine-client.ts";
import { readLogFrames } from "./log-frames.ts";
import { LABEL, type Names } from "./names.ts";

const Waited = z.object({ StatusCode: z.number() });
const MEMORY_BYTES = 256 * 1024 * 1024;
const TAIL_LINES = "40";

export interface ShortWork {
  readonly words: readonly string[];
  readonly capabilities: readonly string[];
  readonly network: "none" | "host";
  readonly mounts?: readonly EngineMount[];
}

/** Work of the control plane's own that only a container on the engine's machine can do. Nothing of a session runs in one. */
export class ShortContainers {
  readonly #client: EngineClient;
  readonly #names: Names;
  readonly #image: string;

  constructor(client: EngineClient, names: Names, image: string) {
    this.#client = client;
    this.#names = names;
    this.#image = image;
  }

  /** Gives what was printed. Throws DriverError with it where the work failed. */
  async run(work: ShortWork, signal?: AbortSignal): Promise<string> {
    const withSignal = signal === undefined ? {} : { signal };
    const { Id } = await this.#client.json(
      {
        method: "POST",
        path: "/containers/create",
        query: { name: `raworc_work_${randomUUID()}` },
        body: this.#config(work),
        ...withSignal,
      },
      Created,
    );
    try {
      await this.#client.run({ method: "POST", path: `/containers/${Id}/start`, ...withSignal });
      const wait = { method: "POST", path: `/containers/${Id}/wait`, long: true, ...withSignal } as const;
      const { StatusCode } = await this.#client.json(wait, Waited);
      const said = await readContainerLog(this.#client, Id);
      if (StatusCode === 0) return said;
      throw new DriverError(`${work.words[0]} failed in a container: ${said.trim().slice(-500)}`, { transient: true });
    } finally {
      await this.#client.run(
        { method: "DELETE", path: `/containers/${Id}`, query: { force: "1", v: "1" } },
        [404, 409],
      );
    }
  }

  #config({ words, capabilities, network, mounts = [] }: ShortWork): object {
    return {
      Image: this.#image,
      User: "0:0",
      Entrypoint: words.slice(0, 1),
      Cmd: words.slice(1),
      Labels: this.#names.labels({ [LABEL.kind]: "work" }),
      HostConfig: {
        NetworkMode: network,
        ReadonlyRootfs: true,
        SecurityOpt: ["no-new-privileges:true"],
        CapDrop: ["ALL"],
        CapAdd: capabilities,
        Memory: MEMORY_BYTES,
        MemorySwap: MEMORY_BYTES,
        PidsLimit: 64,
        LogConfig: { Type: "local", Config: { "max-size": "1m", "max-file": "1", compress: "false" } },
        Mounts: mounts,
      },
    };
  }
}

/** The end of a container's log. */
export async function readContainerLog(client: EngineClient, id: string): Promise<string> {
  const query = { stdout: "1", stderr: "1", tail: TAIL_LINES };
  const answer = await client.stream({ method: "GET", path: `/containers/${id}/logs`, query });
  return readLogFrames(await buffer(answer));
}

import { rename, rm } from "node:fs/promises";
import { connect } from "node:net";
import { join } from "node:path";
import { COMPUTER, type Network } from "@raworc/contract";
import type { DriverOptions } from "../driver-options.ts";
import type { Layout } from "./layout.ts";

/** Gives computers their sockets of the egress proxy. */
export class WayOut {
  readonly #egress: DriverOptions["egress"];
  readonly #layout: Layout;
  readonly #served = new Map<string, string>();

  constructor(egress: DriverOptions["egress"], layout: Layout) {
    this.#egress = egress;
    this.#layout = layout;
  }

  /** Does nothing where this process serves the same already. */
  async serve(id: string, network: Network): Promise<void> {
    const rules = JSON.stringify(network);
    if (this.#served.get(id) === rules) return;
    if (network.mode === "none") return this.end(id);
    // Made where no computer can put a link in its place, then moved to where it is expected.
    const draft = join(this.#layout.egress, `${id}.sock`);
    await this.#egress.serve(id, draft, network);
    await rename(draft, this.#socket(id));
    this.#served.set(id, rules);
  }

  /** Whether some server takes connections from this computer. */
  answers(id: string): Promise<boolean> {
    return new Promise((resolve) => {
      const socket = connect(this.#socket(id));
      const end = (answered: boolean) => {
        socket.destroy();
        resolve(answered);
      };
      socket.once("connect", () => end(true));
      socket.once("error", () => end(false));
    });
  }

  async end(id: string): Promise<void> {
    this.#served.delete(id);
    await this.#egress.end(id);
    await rm(this.#socket(id), { force: true });
  }

  /** Computers live on; the next control plane serves them again. */
  async close(): Promise<void> {
    await Promise.all([...this.#served.keys()].map((id) => this.#egress.end(id)));
    this.#served.clear();
  }

  #socket(id: string): string {
    return join(this.#layout.socketDirectory(id), COMPUTER.egressSocket);
  }
}

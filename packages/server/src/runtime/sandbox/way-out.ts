import { rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER, type Network } from "@raworc/contract";
import type { DriverOptions } from "../driver-options.ts";
import type { Layout } from "./layout.ts";

/** Gives computers their sockets of the egress proxy. */
export class WayOut {
  readonly #egress: DriverOptions["egress"];
  readonly #layout: Layout;
  readonly #served = new Map<string, { readonly rules: string; readonly socket: bigint }>();

  constructor(egress: DriverOptions["egress"], layout: Layout) {
    this.#egress = egress;
    this.#layout = layout;
  }

  /** Does nothing where this process serves the same already. */
  async serve(id: string, network: Network): Promise<void> {
    const rules = JSON.stringify(network);
    const served = this.#served.get(id);
    // Another server that had the computer meanwhile has put a socket of its own there.
    if (served?.rules === rules && served.socket === (await this.#fileNumber(id))) return;
    if (network.mode === "none") return this.end(id);
    // Made where no computer can put a link in its place, then moved to where it is expected.
    const draft = this.#layout.egressDraft(id);
    await this.#egress.serve(id, draft.reach, network);
    await rename(draft.path, this.#socket(id));
    this.#served.set(id, { rules, socket: (await this.#fileNumber(id)) ?? 0n });
  }

  async end(id: string): Promise<void> {
    this.#served.delete(id);
    await this.#egress.end(id);
    // The draft is there still where a server was killed before it could move it.
    for (const path of [this.#layout.egressDraft(id).path, this.#socket(id)]) await rm(path, { force: true });
  }

  /** Computers live on; the next control plane serves them again. */
  async close(): Promise<void> {
    await Promise.all([...this.#served.keys()].map((id) => this.#egress.end(id)));
    this.#served.clear();
  }

  async #fileNumber(id: string): Promise<bigint | undefined> {
    const found = await stat(this.#socket(id), { bigint: true }).catch(() => undefined);
    return found?.ino;
  }

  #socket(id: string): string {
    return join(this.#layout.socketDirectory(id), COMPUTER.egressSocket);
  }
}

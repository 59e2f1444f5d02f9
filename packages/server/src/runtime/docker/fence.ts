import { lookup } from "node:dns/promises";
import { isIPv4 } from "node:net";
import type { Logger } from "pino";
import { fenceRemoval, fenceRules } from "./fence-rules.ts";
import type { Names } from "./names.ts";
import { ProgramError, runProgram } from "./program.ts";
import { readResolvers } from "./resolvers.ts";
import type { ShortContainers } from "./short-containers.ts";

/** Rules that were just seen in place aren't looked for again. */
const FRESH_MS = 5000;
const LOOKUP_TIMEOUT_MS = 5000;

export interface FenceOptions {
  readonly names: Names;
  readonly mirrorHosts: readonly string[];
  readonly containers: ShortContainers;
  readonly log: Logger;
}

/**
 * Firewall rules of the engine's machine around the network of `open` sessions. Set by this process where it is root and
 * nft is there, else by a container that may change the machine's network and ends at once.
 */
export class FenceKeeper {
  readonly #options: FenceOptions;
  #setBy: "program" | "container" | undefined;
  #seenAt = 0;
  #work: Promise<void> | undefined;

  constructor(options: FenceOptions) {
    this.#options = options;
  }

  /** Sees to it that the rules are there. Throws DriverError where they can't be set: then nothing may use the network. */
  ensure(): Promise<void> {
    this.#work ??= this.#ensure().finally(() => {
      this.#work = undefined;
    });
    return this.#work;
  }

  /** The rules may be gone: looks at the next use. */
  doubt(): void {
    this.#setBy = undefined;
    this.#seenAt = 0;
  }

  /** Where this process can't, a container is taken if `thorough`: if there may be rules at all. */
  async remove(options: { readonly thorough: boolean }): Promise<void> {
    const rules = fenceRemoval(this.#table);
    if ((await this.#byProgram(rules)) || !options.thorough) return;
    await this.#options.containers.run(this.#containerWork(rules));
  }

  get #table(): string {
    return this.#options.names.network;
  }

  async #ensure(): Promise<void> {
    if (this.#setBy === "container" || Date.now() - this.#seenAt < FRESH_MS) return;
    if (this.#setBy === "program" && (await this.#isThere())) return;
    const rules = fenceRules({
      table: this.#table,
      bridge: this.#options.names.bridge,
      resolvers: await readResolvers(),
      mirrors: await this.#mirrorAddresses(),
    });
    if (await this.#byProgram(rules)) {
      this.#setBy = "program";
      this.#seenAt = Date.now();
      return;
    }
    await this.#options.containers.run(this.#containerWork(rules));
    this.#setBy = "container";
  }

  async #isThere(): Promise<boolean> {
    try {
      await runProgram("nft", ["list", "chain", "inet", this.#table, "out"]);
      this.#seenAt = Date.now();
      return true;
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      this.#options.log.warn({ table: this.#table }, "the fence of the open network was gone; it is set again");
      return false;
    }
  }

  /** False where this process can't. */
  async #byProgram(rules: string): Promise<boolean> {
    if (process.geteuid?.() !== 0) return false;
    try {
      await runProgram("nft", ["-f", "-"], { stdin: rules });
      return true;
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      this.#options.log.debug({ err: error }, "nft can't be used directly");
      return false;
    }
  }

  #containerWork(rules: string) {
    return { words: ["/usr/sbin/nft", rules], capabilities: ["NET_ADMIN"], network: "host" } as const;
  }

  async #mirrorAddresses(): Promise<readonly string[]> {
    const found = await Promise.all(this.#options.mirrorHosts.map((host) => this.#addresses(host)));
    return [...new Set(found.flat())].sort();
  }

  async #addresses(host: string): Promise<readonly string[]> {
    const late = new Promise<[]>((resolve) => {
      setTimeout(resolve, LOOKUP_TIMEOUT_MS, []).unref();
    });
    try {
      const found = await Promise.race([lookup(host, { all: true, family: 4 }), late]);
      return found.map(({ address }) => address).filter((address) => isIPv4(address) && !address.startsWith("127."));
    } catch (error) {
      this.#options.log.warn({ err: error, host }, "a mirror's name was not found: open sessions may not reach it");
      return [];
    }
  }
}

import { randomUUIDv7 } from "node:crypto";
import { readFileSync } from "node:fs";
import { rm } from "node:fs/promises";
import { hostname } from "node:os";
import type { Logger } from "pino";
import { beat, deleteServer, insertServer, listServers, type StoredServer } from "../store/servers.ts";
import type { Store } from "../store/store.ts";
import { PeerLinks } from "./peer-links.ts";
import type { Wakeups, WakeupTopic } from "./wakeups.ts";

export interface ServersOptions {
  readonly store: Store;
  readonly wakeups: Wakeups;
  readonly log: Logger;
  /** For the sockets of this machine's servers; shared by them. */
  readonly directory: string;
  /** Whether all servers of this store are on one machine, as with SQLite: then one that is alone needs no heartbeat. */
  readonly oneMachine: boolean;
  /** Whether this one drives sessions, messages and builds, or only answers calls and passes them on. Does unless told. */
  readonly operates?: boolean;
  /** Milliseconds between heartbeats, and after how many without one a server counts as gone. */
  readonly intervalMs?: number;
  readonly goneAfterMs?: number;
}

const INTERVAL_MS = 1000;
const GONE_AFTER_MS = 3500;

/**
 * The control planes that share one store: this one, and those it knows of. A server that ends is seen at once by its
 * socket on the same machine, else by its missing heartbeats. One that was taken for gone and is not goes on under
 * another id, without the leases of the one before.
 */
export class Servers {
  readonly #options: ServersOptions;
  readonly #links: PeerLinks;
  readonly #machine = machineId();
  readonly #endListeners = new Set<() => Promise<void>>();
  readonly #lossListeners = new Set<() => void>();
  /** Others that are listed, with their last heartbeat. */
  #others = new Map<string, StoredServer>();
  #id = "";
  #timer: NodeJS.Timeout | undefined;
  #turn: Promise<void> | undefined;
  #again = false;
  #beatAt = 0;
  /** Nobody is taken for gone before this: after the database was away, the others' heartbeats are old too. */
  #patientUntil = 0;
  #failing = false;
  #closed = false;

  private constructor(options: ServersOptions) {
    this.#options = options;
    this.#links = new PeerLinks({
      directory: options.directory,
      log: options.log,
      onCall: (topic, key) => options.wakeups.receive(topic as WakeupTopic, key),
      onGreeting: () => {
        options.wakeups.miss();
        this.#look();
      },
      onEnd: () => this.#look(),
    });
  }

  /** Joins the servers of the store. Those that are surely dead are taken off the list first. */
  static async start(options: ServersOptions): Promise<Servers> {
    const servers = new Servers(options);
    options.wakeups.relayTo((topic, key) => servers.#links.send(topic, key));
    await servers.#join();
    await servers.#refresh();
    servers.#schedule();
    return servers;
  }

  get id(): string {
    return this.#id;
  }

  /** Whether this server drives sessions, messages and builds. */
  get operates(): boolean {
    return this.#options.operates ?? true;
  }

  /** Whether there is a server that does so, this one or another, as far as is known here. */
  get hasOperator(): boolean {
    return this.operates || [...this.#others.values()].some(({ operates }) => operates);
  }

  /** False when this server has been silent for so long that others may have taken it for gone. */
  get confident(): boolean {
    return this.#others.size === 0 || performance.now() - this.#beatAt < this.#goneAfterMs;
  }

  /** Whether a server is one of the others, as far as is known here. */
  knows(id: string): boolean {
    return this.#others.has(id);
  }

  /** Servers have gone, and their leases are free. A listener that throws is called again with the next heartbeat. */
  onEnd(listener: () => Promise<void>): void {
    this.#endListeners.add(listener);
  }

  /** This server was taken for gone: what it held belongs to others. */
  onLoss(listener: () => void): void {
    this.#lossListeners.add(listener);
  }

  /** Leaves, so that others take over at once. Idempotent. */
  async close(): Promise<void> {
    if (this.#closed) return;
    this.#closed = true;
    clearTimeout(this.#timer);
    await this.#turn;
    await this.#options.store.write((transaction) => deleteServer(transaction, this.#id)).catch(() => undefined);
    await this.#links.close();
  }

  get #goneAfterMs(): number {
    return this.#options.goneAfterMs ?? GONE_AFTER_MS;
  }

  async #join(): Promise<void> {
    this.#id = randomUUIDv7();
    // The others have to hear of the new name, and to open links to it.
    for (const id of this.#others.keys()) this.#links.drop(id);
    this.#patientUntil = performance.now() + this.#goneAfterMs;
    const address = await this.#links.listen(this.#id);
    const server = { id: this.#id, machine: this.#machine, address, operates: this.operates ? 1 : 0 };
    await this.#options.store.write((transaction) => insertServer(transaction, server));
    this.#beatAt = performance.now();
  }

  /** Looks now rather than with the next heartbeat; looks again when something has happened meanwhile. */
  #look(): void {
    if (this.#closed) return;
    if (this.#turn !== undefined) {
      this.#again = true;
      return;
    }
    clearTimeout(this.#timer);
    this.#turn = this.#refreshSafely().finally(() => {
      this.#turn = undefined;
      if (this.#again) {
        this.#again = false;
        this.#look();
      } else {
        this.#schedule();
      }
    });
  }

  #schedule(): void {
    const isAlone = this.#options.oneMachine && this.#others.size === 0;
    if (this.#closed || (isAlone && !this.#failing)) return;
    clearTimeout(this.#timer);
    this.#timer = setTimeout(() => this.#look(), this.#options.intervalMs ?? INTERVAL_MS).unref();
  }

  async #refreshSafely(): Promise<void> {
    try {
      await this.#refresh();
    } catch (error) {
      this.#failing = true;
      this.#patientUntil = performance.now() + this.#goneAfterMs;
      this.#options.log.warn({ err: error }, "no heartbeat could be written");
    }
  }

  async #refresh(): Promise<void> {
    const { log, store, wakeups } = this.#options;
    // A process that was held up sees its own silence before others' answers are judged.
    if (performance.now() - this.#beatAt > this.#goneAfterMs)
      this.#patientUntil = performance.now() + this.#goneAfterMs;
    if (!(await store.write((transaction) => beat(transaction, this.#id)))) {
      log.warn({ server: this.#id }, "taken for gone by the other servers; going on anew");
      await this.#join();
      for (const listener of this.#lossListeners) listener();
    }
    this.#beatAt = performance.now();
    const before = this.#others;
    const others = new Map<string, StoredServer>();
    let unlinked = false;
    for (const server of await listServers(store.read)) {
      if (server.id === this.#id) continue;
      const presence = await this.#presence(server);
      if (presence === "gone") {
        await this.#remove(server, presence);
        before.set(server.id, server);
        continue;
      }
      others.set(server.id, server);
      unlinked ||= presence === "unknown";
    }
    const ended = [...before.keys()].filter((id) => !others.has(id));
    for (const id of ended) this.#links.drop(id);
    this.#others = others;
    if (ended.length > 0) await this.#tellOfEnds(before);
    // Where the others' calls don't come through, or didn't while the database was away, looking is the slow way.
    if (unlinked || this.#failing) wakeups.miss();
    this.#failing = false;
  }

  async #tellOfEnds(before: ReadonlyMap<string, StoredServer>): Promise<void> {
    try {
      await Promise.all([...this.#endListeners].map((listener) => listener()));
    } catch (error) {
      // Who has gone is found out again.
      this.#others = new Map([...before, ...this.#others]);
      throw error;
    }
  }

  async #presence(server: StoredServer): Promise<"gone" | "there" | "unknown"> {
    const silent = server.age > this.#goneAfterMs && performance.now() > this.#patientUntil;
    if (silent) return "gone";
    const { oneMachine } = this.#options;
    if (server.machine !== this.#machine) return oneMachine ? "gone" : "unknown";
    return this.#links.open(server.id, server.address);
  }

  async #remove(server: StoredServer, reason: string): Promise<void> {
    this.#options.log.info({ server: server.id, reason }, "another server has gone");
    await this.#options.store.write((transaction) => deleteServer(transaction, server.id, server.heartbeat_at));
    if (server.machine === this.#machine) await rm(server.address, { force: true });
  }
}

/** The same for all processes under one running kernel. */
function machineId(): string {
  try {
    return readFileSync("/proc/sys/kernel/random/boot_id", "utf8").trim();
  } catch {
    return hostname();
  }
}

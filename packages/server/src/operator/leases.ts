import { claimLease, deleteLease, findLeaseHolder, insertLease, listFreeLeases } from "../store/leases.ts";
import type { Store, Transaction } from "../store/store.ts";
import type { Servers } from "./servers.ts";

/** What servers share out: the work of a session, the builds of a space, its pool, a builder while it is there. */
export type LeaseKind = "session" | "builds" | "pool" | "builder";

/** Another server does the work of this key now. Thrown inside a transaction, of which then nothing is written. */
export class LeaseLost extends Error {
  override readonly name = "LeaseLost";
}

interface Listeners {
  readonly onFree: (key: string) => void;
  readonly onLost: (key: string) => void;
}

/** Keys claimed in one transaction. */
const CLAIM_PAGE = 200;

/**
 * Of the servers that share a store, one does the work of a key. A lease has no time of its own: it lasts as long as its
 * server, and is free when that has gone. Asking for one that is held costs nothing. A server that only answers calls holds
 * none.
 */
export class Leases {
  readonly #store: Store;
  readonly #servers: Servers;
  readonly #held: Record<LeaseKind, Set<string>> = {
    session: new Set(),
    builds: new Set(),
    pool: new Set(),
    builder: new Set(),
  };
  readonly #listeners: Record<LeaseKind, Listeners[]> = { session: [], builds: [], pool: [], builder: [] };

  constructor(store: Store, servers: Servers) {
    this.#store = store;
    this.#servers = servers;
    servers.onEnd(() => this.offerFree());
    servers.onLoss(() => this.#loseAll());
  }

  /**
   * Says who works on a kind of key. `onFree`: a server has gone that held the key; hold it and go on with it. `onLost`:
   * this server was taken for gone; end what runs for the key, and ask again.
   */
  share(kind: LeaseKind, listeners: Listeners): void {
    this.#listeners[kind].push(listeners);
  }

  /** False on a server that only answers calls: others do all work. */
  get claims(): boolean {
    return this.#servers.operates;
  }

  /** Whether this server surely does the work of the key at this moment. */
  holds(kind: LeaseKind, key: string): boolean {
    return this.#held[kind].has(key) && this.#servers.confident;
  }

  /** Whether this server does the work of the key; takes it when nobody does. */
  async hold(kind: LeaseKind, key: string): Promise<boolean> {
    if (this.holds(kind, key)) return true;
    if (!this.claims) return false;
    const serverId = this.#servers.id;
    const holder = await findLeaseHolder(this.#store.read, { kind, key });
    if (holder === serverId) return this.#note(kind, key, serverId);
    if (holder !== undefined && this.#servers.knows(holder)) return false;
    const held = await this.#store.write((transaction) => claimLease(transaction, { kind, key }, serverId));
    return held && this.#note(kind, key, serverId);
  }

  /** Which of many keys this server does the work of; takes those that nobody does. */
  async holdAll(kind: LeaseKind, keys: readonly string[]): Promise<string[]> {
    const all: string[] = [];
    if (!this.claims) return all;
    for (let start = 0; start < keys.length; start += CLAIM_PAGE) {
      const serverId = this.#servers.id;
      const held = await this.#store.write(async (transaction) => {
        const claimed: string[] = [];
        for (const key of keys.slice(start, start + CLAIM_PAGE)) {
          if (await claimLease(transaction, { kind, key }, serverId)) claimed.push(key);
        }
        return claimed;
      });
      all.push(...held.filter((key) => this.#note(kind, key, serverId)));
    }
    return all;
  }

  /** Whether some server that lives does the work of the key. */
  async isHeld(kind: LeaseKind, key: string): Promise<boolean> {
    const holder = await findLeaseHolder(this.#store.read, { kind, key });
    return holder !== undefined && (holder === this.#servers.id || this.#servers.knows(holder));
  }

  /**
   * Takes the lease of what is made in this transaction, which costs no commit of its own; `taken` comes after it. Where this
   * server holds none, whoever hears of the key first takes it.
   */
  async take(transaction: Transaction, kind: LeaseKind, key: string): Promise<void> {
    if (!this.claims) return;
    await insertLease(transaction, { kind, key }, this.#servers.id);
  }

  /** The transaction of `take` has committed. */
  taken(kind: LeaseKind, key: string): void {
    if (this.claims) this.#held[kind].add(key);
  }

  /**
   * Comes before the records of work that was done outside of the transaction. Throws LeaseLost when another server has
   * taken the key over meanwhile; else nobody can until this transaction has committed.
   */
  async guard(transaction: Transaction, kind: LeaseKind, key: string): Promise<void> {
    if (await this.isMine(transaction, kind, key)) return;
    this.#held[kind].delete(key);
    throw new LeaseLost(`The ${kind} ${key} is another server's now`);
  }

  /** Whether this server does the work of a key, which then stays so until the transaction has committed. */
  async isMine(transaction: Transaction, kind: LeaseKind, key: string): Promise<boolean> {
    return (await findLeaseHolder(transaction, { kind, key })) === this.#servers.id;
  }

  /** Gives a key up: there is no more work, and whoever finds some takes it. */
  async release(kind: LeaseKind, key: string): Promise<void> {
    if (!this.#held[kind].delete(key)) return;
    await this.#store.write((transaction) => deleteLease(transaction, { kind, key }, this.#servers.id));
  }

  /** Gives a key up together with the record that its work is done for good. */
  async giveUp(transaction: Transaction, kind: LeaseKind, key: string): Promise<void> {
    this.#held[kind].delete(key);
    await deleteLease(transaction, { kind, key }, this.#servers.id);
  }

  #note(kind: LeaseKind, key: string, serverId: string): boolean {
    if (serverId !== this.#servers.id) return false;
    this.#held[kind].add(key);
    return true;
  }

  /** Tells of keys whose servers have gone; at the start also of those that had gone before. */
  async offerFree(): Promise<void> {
    const free = await listFreeLeases(this.#store.read);
    for (const { kind, key } of free) {
      for (const { onFree } of this.#listeners[kind as LeaseKind] ?? []) onFree(key);
    }
  }

  #loseAll(): void {
    for (const kind of Object.keys(this.#held) as LeaseKind[]) {
      const keys = [...this.#held[kind]];
      this.#held[kind].clear();
      for (const key of keys) for (const { onLost } of this.#listeners[kind]) onLost(key);
    }
  }
}

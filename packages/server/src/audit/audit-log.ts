import { randomUUIDv7 } from "node:crypto";
import type { Logger } from "pino";
import { type ChainHead, HeadSealer, hashLink } from "../security/audit-chain.ts";
import type { Keyring } from "../security/keyring.ts";
import type { EncryptionKey } from "../security/keys.ts";
import {
  type AuditHead,
  insertAuditEvent,
  lockAuditHead,
  readAuditHead,
  type StoredAuditEvent,
  writeAuditHead,
} from "../store/audit.ts";
import { readEncryptionKeyId } from "../store/encryption-keys.ts";
import type { Store, Transaction } from "../store/store.ts";
import { now } from "../store/time.ts";
import type { AuditAnchor } from "./audit-anchor.ts";
import { type AuditEntry, boundedText, detailsText, systemEntry } from "./audit-entry.ts";
import type { ChangeCompanion } from "./change-companion.ts";
import { anchorProblem } from "./verify-audit.ts";

export interface AuditLogOptions {
  /** The plain store: the audit doesn't audit itself. */
  readonly store: Store;
  readonly keyring: Keyring;
  readonly log: Logger;
  readonly anchor?: AuditAnchor | undefined;
}

/** Milliseconds between a commit and the anchor that knows of it. */
const ANCHOR_DELAY = 1000;
/** Entries that may wait to be written without anybody waiting for them. */
const PENDING_MAX = 1000;

/** Appends to the chain of audit events. The head's seal is checked before each link that isn't put on one of our own. */
export class AuditLog {
  readonly #options: AuditLogOptions;
  readonly #sealer = new HeadSealer();
  readonly #pending = new Set<Promise<void>>();
  /** The newest head that this process has written, whether it was committed or not. */
  #written: ChainHead = { seq: 0, hash: "" };
  /** The newest one that was committed; the chain can't be shorter any more. */
  #committed: AuditHead | undefined;
  #key: EncryptionKey | undefined;
  #anchorTimer: NodeJS.Timeout | undefined;
  #anchorWritten: Promise<void> = Promise.resolve();

  constructor(options: AuditLogOptions) {
    this.#options = options;
  }

  /** Seals the head of a new chain; tells of a chain that has lost what the anchor knows. */
  async begin(): Promise<void> {
    const { anchor, keyring, log, store } = this.#options;
    this.#key = await keyring.need(await readEncryptionKeyId(store.read));
    if ((await readAuditHead(store.read)).key_id === "") {
      await this.#inTransaction(async (transaction) => {
        const head = await lockAuditHead(transaction);
        // Another server was first.
        if (head.key_id !== "") return head;
        return this.#link(transaction, head, [systemEntry("start", "audit-events", "allowed", {})]);
      });
    }
    const problem = anchor === undefined ? undefined : await anchorProblem(store.read, keyring, await anchor.read());
    if (problem === undefined) return;
    log.error({ problem }, "the audit was changed from outside");
    await this.write(systemEntry("break", "audit-events", "failed", { problem }));
  }

  /**
   * Adds a link in the transaction of the change that it tells of. With a key, the chain is sealed with it from here on.
   * Hand what it gives to `committed` when the transaction has been.
   */
  async append(transaction: Transaction, entry: AuditEntry, key?: EncryptionKey): Promise<AuditHead> {
    const head = await lockAuditHead(transaction);
    const { problem, sealedWith } = await this.#check(head);
    if (problem === undefined) return this.#link(transaction, head, [entry], key ?? sealedWith);
    this.#options.log.error({ problem }, "the audit was changed from outside");
    const told = systemEntry("break", "audit-events", "failed", { problem });
    return this.#link(transaction, head, [told, entry], key ?? sealedWith);
  }

  committed(head: AuditHead): void {
    if (this.#committed !== undefined && head.seq <= this.#committed.seq) return;
    this.#committed = head;
    if (this.#options.anchor === undefined) return;
    this.#anchorTimer ??= setTimeout(() => this.#writeAnchor(), ANCHOR_DELAY).unref();
  }

  /** Writes an entry in a transaction of its own, with its companion; it is there when this resolves. */
  async write(entry: AuditEntry, companion?: ChangeCompanion): Promise<void> {
    await this.#inTransaction(async (transaction) => {
      await companion?.before(transaction);
      await companion?.after(transaction);
      return this.append(transaction, entry);
    });
    companion?.committed(false);
  }

  /**
   * Writes an entry that nobody waits for, unless too many wait: a refusal takes no longer for being told, so what is hidden
   * can't be told from what isn't there by the time it takes.
   */
  async tell(entry: AuditEntry): Promise<void> {
    const written = this.write(entry).catch((error: unknown) => {
      this.#options.log.error({ err: error, action: entry.action, resource: entry.resource }, "audit event lost");
    });
    this.#pending.add(written);
    const done = written.finally(() => this.#pending.delete(written));
    if (this.#pending.size > PENDING_MAX) await done;
  }

  /** Resolves when everything that was told before is written. */
  async settled(): Promise<void> {
    await Promise.all(this.#pending);
  }

  /** The store must still be open. Idempotent. */
  async close(): Promise<void> {
    await this.settled();
    if (this.#anchorTimer !== undefined) this.#writeAnchor();
    await this.#anchorWritten;
  }

  async #inTransaction(work: (transaction: Transaction) => Promise<AuditHead>): Promise<void> {
    this.committed(await this.#options.store.write(work));
  }

  async #check(head: AuditHead): Promise<{ problem: string | undefined; sealedWith: EncryptionKey }> {
    const sealedWith = await this.#options.keyring.need(head.key_id).catch(() => undefined);
    if (sealedWith === undefined) {
      if (this.#key === undefined) throw new Error("The audit log was not begun");
      return { problem: "the head is sealed with an unknown key", sealedWith: this.#key };
    }
    this.#key = sealedWith;
    if (this.#committed !== undefined && head.seq < this.#committed.seq) {
      return { problem: `there are ${head.seq} events where there were ${this.#committed.seq}`, sealedWith };
    }
    const isOurs = head.seq === this.#written.seq && head.hash === this.#written.hash;
    if (!isOurs && this.#sealer.seal(head, sealedWith) !== head.seal) {
      return { problem: "the head doesn't fit its seal", sealedWith };
    }
    return { problem: undefined, sealedWith };
  }

  async #link(
    transaction: Transaction,
    head: ChainHead,
    entries: readonly AuditEntry[],
    key = this.#key,
  ): Promise<AuditHead> {
    if (key === undefined) throw new Error("The audit log was not begun");
    let { seq, hash } = head;
    for (const entry of entries) {
      const link = toLink(entry, seq + 1, hash);
      await insertAuditEvent(transaction, link);
      ({ seq, hash } = link);
    }
    const next = { seq, hash, key_id: key.id, seal: this.#sealer.seal({ seq, hash }, key) };
    await writeAuditHead(transaction, next);
    this.#written = next;
    return next;
  }

  #writeAnchor(): void {
    clearTimeout(this.#anchorTimer);
    this.#anchorTimer = undefined;
    const { anchor, log } = this.#options;
    const head = this.#committed;
    if (anchor === undefined || head === undefined) return;
    this.#anchorWritten = this.#anchorWritten
      .then(() => anchor.write(head))
      .catch((error: unknown) => {
        log.warn({ err: error }, "the audit's anchor could not be written");
      });
  }
}

function toLink(entry: AuditEntry, seq: number, previous: string): StoredAuditEvent {
  const link = {
    seq,
    id: randomUUIDv7(),
    created_at: now(),
    principal: entry.principal?.name ?? null,
    principal_id: entry.principal?.id ?? null,
    action: entry.action,
    resource: entry.resource,
    name: boundedText(entry.name),
    space: entry.space?.name ?? null,
    space_id: entry.space?.id ?? null,
    outcome: entry.outcome,
    request_id: entry.requestId,
    address: boundedText(entry.address),
    details: detailsText(entry.details),
    prev_hash: previous,
  };
  return { ...link, hash: hashLink(link) };
}

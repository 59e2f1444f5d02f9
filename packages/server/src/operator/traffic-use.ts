import type { Lease } from "./connections.ts";
import type { Sessions } from "./sessions.ts";

/** Milliseconds without traffic after which a connection is no use of the computer any more. */
const SILENCE_MS = 2000;

/**
 * The use that a long connection makes of a session's computer: as long as there is traffic it stays awake, in the silence
 * between it may rest, and traffic to it wakes it.
 */
export class TrafficUse {
  readonly #sessions: Pick<Sessions, "acquire" | "acquireNow">;
  readonly #id: string;
  readonly #signal: AbortSignal;
  #lease: Lease | undefined;
  #timer: NodeJS.Timeout | undefined;
  #waking: Promise<void> | undefined;
  #ended = false;

  /** Goes on with a lease, which this one ends. */
  constructor(
    sessions: Pick<Sessions, "acquire" | "acquireNow">,
    use: { readonly id: string; readonly lease: Lease; readonly signal: AbortSignal },
  ) {
    this.#sessions = sessions;
    this.#id = use.id;
    this.#signal = use.signal;
    this.#hold(use.lease);
  }

  /** Something came from the computer. */
  received(): void {
    if (this.#ended) return;
    if (this.#lease !== undefined) this.#timer?.refresh();
    else if (this.#waking === undefined) {
      const lease = this.#sessions.acquireNow(this.#id);
      if (lease !== undefined) this.#hold(lease);
    }
  }

  /** Something is to be sent to the computer: undefined, or what to wait for. Rejects where it can't be woken. */
  sending(): Promise<void> | undefined {
    if (this.#lease !== undefined) {
      this.#timer?.refresh();
      return undefined;
    }
    this.#waking ??= this.#wake();
    return this.#waking;
  }

  /** Idempotent. */
  end(): void {
    this.#ended = true;
    this.#rest();
  }

  async #wake(): Promise<void> {
    try {
      this.#hold(await this.#sessions.acquire(this.#id, this.#signal));
    } finally {
      this.#waking = undefined;
    }
  }

  #hold(lease: Lease): void {
    this.#lease = lease;
    this.#timer = setTimeout(() => this.#rest(), SILENCE_MS).unref();
    if (this.#ended) this.#rest();
  }

  #rest(): void {
    clearTimeout(this.#timer);
    this.#lease?.release();
    this.#lease = undefined;
  }
}

import { RaworcError } from "@raworc/contract";
import type { ChangeCompanion } from "../audit/change-companion.ts";
import type { RequestSeal } from "../security/request-seal.ts";
import {
  abandonIdempotencyKey,
  claimIdempotencyKey,
  deleteIdempotencyKey,
  type KeptAnswer,
  keepAnswer,
} from "../store/idempotency-keys.ts";
import type { Store, Transaction } from "../store/store.ts";

/** Characters of an answer that is kept. */
const ANSWER_MAX = 8 * 1024 * 1024;

export interface KeyedRequestOptions {
  /** Hash of who asks what under which key. */
  readonly id: string;
  readonly fingerprint: string;
  readonly serverId: string;
  readonly store: Store;
  readonly seal: RequestSeal;
  /** An older request of the same id is no longer kept, but still there. */
  readonly replaces: boolean;
  /** Status of success. */
  readonly status: number;
  /** The first request has made its change, and its server or its answer was lost. */
  readonly isRepeated: boolean;
  readonly onEnd: () => void;
}

/**
 * A request with an Idempotency-Key that is being handled. The key is taken in the transaction of the request's first
 * change, together with the answer as far as it is known there: after a crash there is either neither, or both. Whoever
 * begins one calls `kept`, `failed` or `sent` at its end.
 */
export class KeyedRequest implements ChangeCompanion {
  readonly #options: KeyedRequestOptions;
  #foreseen: { readonly body: string; readonly isFinal: boolean } | undefined;
  /** The final answer that was written with the change. */
  #noted: string | undefined;
  /** What of it is on the disk. */
  #written: "nothing" | "event" | "change";

  constructor(options: KeyedRequestOptions) {
    this.#options = options;
    this.#written = options.isRepeated ? "change" : "nothing";
  }

  async before(transaction: Transaction): Promise<void> {
    const { fingerprint, id, isRepeated, replaces, serverId } = this.#options;
    if (isRepeated) return;
    this.#foreseen = undefined;
    this.#noted = undefined;
    if (replaces) await deleteIdempotencyKey(transaction, id);
    if (!(await claimIdempotencyKey(transaction, { id, fingerprint, serverId }))) throw stillRuns();
  }

  async after(transaction: Transaction): Promise<void> {
    const { id, isRepeated, status } = this.#options;
    if (isRepeated || this.#foreseen === undefined) return;
    const { body, isFinal } = this.#foreseen;
    await keepAnswer(transaction, id, this.#sealed({ status, headers: {}, body }), isFinal);
    if (isFinal) this.#noted = body;
  }

  committed(isChange: boolean): void {
    this.#written = isChange ? "change" : "event";
  }

  /**
   * What the answer will be if all goes well, told in the transaction of the first change. One that isn't final is what was
   * true at that time, for when the server does not live to say more.
   */
  foresee(answer: unknown, isFinal: boolean): void {
    this.#foreseen ??= { body: JSON.stringify(answer), isFinal };
  }

  /** Keeps the answer that is about to be given. */
  async kept(answer: KeptAnswer): Promise<void> {
    const { id, onEnd, store } = this.#options;
    try {
      const { body, headers } = answer;
      if ((body?.length ?? 0) > ANSWER_MAX) {
        await this.#abandon();
        return;
      }
      if (body !== null && body === this.#noted && Object.keys(headers).length === 0) return;
      await store.write((transaction) => keepAnswer(transaction, id, this.#sealed(answer), true));
    } finally {
      onEnd();
    }
  }

  /** The answer was a stream, which can't be given again. */
  async sent(): Promise<void> {
    try {
      await this.#abandon();
    } finally {
      this.#options.onEnd();
    }
  }

  /** The request was refused or has failed. A refusal is not kept; where something was changed, nothing is done again. */
  async failed(error: unknown): Promise<void> {
    const { id, onEnd, store } = this.#options;
    try {
      const isRefusal = error instanceof RaworcError && error.status < 500;
      if (this.#written === "event" && isRefusal) {
        await store.write((transaction) => deleteIdempotencyKey(transaction, id));
      } else if (this.#written !== "nothing") await this.#abandon();
    } finally {
      onEnd();
    }
  }

  #abandon(): Promise<void> {
    return this.#options.store.write((transaction) => abandonIdempotencyKey(transaction, this.#options.id));
  }

  #sealed(answer: KeptAnswer): KeptAnswer {
    const { id, seal } = this.#options;
    return answer.body === null ? answer : { ...answer, body: seal.seal(answer.body, id) };
  }
}

export function stillRuns(): RaworcError {
  const detail = "The first request with this Idempotency-Key still runs. Send it again in a moment to get its answer.";
  return new RaworcError("idempotency_conflict", detail, { retryAfterSeconds: 1 });
}

import { RaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import type { RequestSeal } from "../security/request-seal.ts";
import {
  deleteIdempotencyKeysBefore,
  findIdempotencyKey,
  type KeptAnswer,
  type StoredIdempotencyKey,
} from "../store/idempotency-keys.ts";
import type { Store } from "../store/store.ts";
import { later } from "../store/time.ts";
import { KeyedRequest, stillRuns } from "./keyed-request.ts";

export interface IdempotencyOptions {
  readonly store: Store;
  readonly seal: RequestSeal;
  /** This server, as others know it at the moment. */
  readonly serverId: () => string;
  /** Whether another server lives, by its id. */
  readonly isAlive: (serverId: string) => Promise<boolean>;
  /** Milliseconds that an answer is kept. */
  readonly keptMs?: number;
}

/** What is asked, in the words that must be the same when it is asked again. */
export interface KeyedCall {
  readonly key: string;
  readonly principalId: string;
  readonly route: string;
  readonly params: unknown;
  readonly query: unknown;
  readonly body: unknown;
  /** Status of success. */
  readonly status: number;
}

export type Beginning =
  | { readonly kind: "first"; readonly request: KeyedRequest }
  /** The first request has made its change, but its end was lost; `answer` is what was known in the change. */
  | { readonly kind: "unfinished"; readonly request: KeyedRequest; readonly answer: KeptAnswer | undefined }
  | { readonly kind: "again"; readonly answer: KeptAnswer };

const DAY_MS = 24 * 60 * 60 * 1000;
const KEY = /^[\x21-\x7e]{1,255}$/;
const SWEEP_EACH = 500;
const SWEEP_INTERVAL_MS = 15 * 60 * 1000;

/** The key of a request, if it has one. Throws `validation_failed` for what can't be one. */
export function idempotencyKeyOf(header: string | string[] | undefined): string | undefined {
  if (header === undefined) return undefined;
  if (typeof header === "string" && KEY.test(header)) return header;
  const message = "takes 1 to 255 visible ASCII characters without spaces, a new UUID for example";
  throw new RaworcError("validation_failed", `Idempotency-Key ${message}.`, {
    errors: [{ path: "headers.idempotency-key", message }],
  });
}

/** Gives requests that are repeated under the same key their first answer. */
export class Idempotency {
  readonly #options: IdempotencyOptions;
  readonly #keptMs: number;
  /** Requests that are handled here now, with what they ask. */
  readonly #running = new Map<string, string>();

  constructor(options: IdempotencyOptions) {
    this.#options = options;
    this.#keptMs = options.keptMs ?? DAY_MS;
  }

  /** Throws `idempotency_conflict` while the first request runs, `idempotency_mismatch` when it asked something else. */
  async begin(call: KeyedCall): Promise<Beginning> {
    const { seal, store } = this.#options;
    const { body, key, params, principalId, query, route, status } = call;
    const id = seal.hash([principalId, route, JSON.stringify(params), key]);
    const fingerprint = seal.hash([JSON.stringify(query), JSON.stringify(body) ?? ""]);
    this.#requireFree(id, fingerprint);
    this.#running.set(id, fingerprint);
    try {
      const found = await findIdempotencyKey(store.read, id);
      const replaces = found !== undefined && found.createdAt < this.#oldest();
      const earlier = replaces ? undefined : found;
      if (earlier !== undefined) requireSame(earlier.fingerprint, fingerprint);
      const isRepeated = earlier !== undefined;
      const shared = { id, fingerprint, store, seal, serverId: this.#options.serverId(), replaces, status, isRepeated };
      const begin = () => new KeyedRequest({ ...shared, onEnd: () => this.#running.delete(id) });
      if (earlier === undefined) return { kind: "first", request: begin() };
      const answer = this.#opened(earlier, id);
      if (earlier.isSettled && answer !== undefined) {
        this.#running.delete(id);
        return { kind: "again", answer };
      }
      if (await this.#runsElsewhere(earlier.serverId)) throw stillRuns();
      return { kind: "unfinished", request: begin(), answer };
    } catch (error) {
      this.#running.delete(id);
      throw error;
    }
  }

  /** Removes what is no longer kept, now and every quarter of an hour; gives back how to stop. */
  keepSwept(log: Logger): () => void {
    const sweep = (): void => {
      this.sweep().catch((error: unknown) => log.warn({ err: error }, "old idempotency keys stay for now"));
    };
    sweep();
    const timer = setInterval(sweep, SWEEP_INTERVAL_MS).unref();
    return () => clearInterval(timer);
  }

  /** Removes what is no longer kept. Repeatable. */
  async sweep(): Promise<void> {
    const { store } = this.#options;
    for (;;) {
      const removed = await store.write((transaction) =>
        deleteIdempotencyKeysBefore(transaction, this.#oldest(), SWEEP_EACH),
      );
      if (removed < SWEEP_EACH) return;
    }
  }

  #oldest(): string {
    return later(-this.#keptMs);
  }

  #requireFree(id: string, fingerprint: string): void {
    const running = this.#running.get(id);
    if (running === undefined) return;
    requireSame(running, fingerprint);
    throw stillRuns();
  }

  async #runsElsewhere(serverId: string): Promise<boolean> {
    if (serverId === "" || serverId === this.#options.serverId()) return false;
    return this.#options.isAlive(serverId);
  }

  #opened({ answer }: StoredIdempotencyKey, id: string): KeptAnswer | undefined {
    if (answer === undefined || answer.body === null) return answer;
    const body = this.#options.seal.open(answer.body, id);
    return body === undefined ? undefined : { ...answer, body };
  }
}

function requireSame(first: string, fingerprint: string): void {
  if (first === fingerprint) return;
  const detail = "This Idempotency-Key was used with another body. Use a new key for a new request.";
  throw new RaworcError("idempotency_mismatch", detail);
}

/** What is said where the first request was carried out as far as nobody knows. */
export function unknownEnd(): RaworcError {
  const detail =
    "The first request with this Idempotency-Key was begun, but its answer is not kept: it was a stream, too large, or " +
    "cut short. Look at what it has done, and use a new key for another try.";
  return new RaworcError("idempotency_conflict", detail);
}

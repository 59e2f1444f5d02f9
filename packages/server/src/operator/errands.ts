import { randomUUIDv7 } from "node:crypto";
import { ERRORS, type ErrorCode, isRaworcError, RaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import { z } from "zod";
import { DriverError } from "../runtime/driver.ts";
import {
  answerErrand,
  deleteErrand,
  type Errand,
  findErrand,
  insertErrand,
  listErrandSubjects,
  listErrands,
} from "../store/errands.ts";
import type { Store } from "../store/store.ts";
import { KeyedLoop } from "./keyed-loop.ts";
import type { Servers } from "./servers.ts";
import type { Wakeups } from "./wakeups.ts";

/**
 * `use`: a session's computer awake until the errand ends; `rest`: a session's computer that has ended; `limits`: a
 * session's recorded limits on its computer; `warm`: a computer of a space's pool; `drain`: a space's pool empty.
 */
export type ErrandKind = "use" | "rest" | "limits" | "warm" | "drain";

/** What has been done. */
export interface Done {
  /** For whoever has asked; JSON. */
  readonly result?: unknown;
  /** Called when whoever has asked has ended the errand, or has gone. */
  readonly onEnd?: () => void;
}

/** Does errands of a kind. Undefined where they are another server's to do. May be called again for the same one. */
export type ErrandHandler = (
  errand: { readonly id: string; readonly subject: string; readonly request: unknown },
  signal: AbortSignal,
) => Promise<Done | undefined>;

/** An errand that was done. */
export interface DoneErrand {
  readonly result: unknown;
  /** Whoever does it may let go. Idempotent, never throws. */
  end(): void;
}

export interface ErrandsOptions {
  readonly store: Store;
  readonly wakeups: Wakeups;
  readonly servers: Servers;
  readonly log: Logger;
}

type AskedErrand = Omit<Errand, "server_id" | "answer">;

const Answer = z.object({
  result: z.unknown().optional(),
  error: z.object({ code: z.enum(Object.keys(ERRORS) as [ErrorCode]), message: z.string() }).optional(),
});

/**
 * What one server asks of the one that does the work of a session or a space. An errand is a row, and a wake-up carries no
 * truth: so it survives the end of whoever does it, and the next one does it again. It ends with the server that asks.
 */
export class Errands {
  readonly #options: ErrandsOptions;
  readonly #handlers = new Map<string, ErrandHandler>();
  readonly #looks: KeyedLoop;
  /** By the id and subject of what this server asks: sees that its row is there, or gone. */
  readonly #rows: KeyedLoop;
  /** What this server asks, and has not ended, by the errand's id. */
  readonly #asked = new Map<string, AskedErrand>();
  /** What this server does, by the errand's id. */
  readonly #doing = new Map<string, { readonly subject: string; readonly abort: AbortController }>();

  constructor(options: ErrandsOptions) {
    this.#options = options;
    const loop = { log: options.log, concurrency: 16 };
    this.#looks = new KeyedLoop({ ...loop, name: "errands", turn: (subject) => this.#look(subject) });
    this.#rows = new KeyedLoop({ ...loop, name: "errands' rows", turn: (key) => this.#settleRow(key) });
    // Its rows went with its name: what goes on is asked for under the new one.
    options.servers.onLoss(() => {
      for (const { id, subject } of this.#asked.values()) this.#rows.wake(`${id} ${subject}`);
    });
    options.wakeups.watch("errands", (subject) => this.#looks.wake(subject));
  }

  /** Says how errands of a kind are done here. */
  serve(kind: ErrandKind, handler: ErrandHandler): void {
    this.#handlers.set(kind, handler);
  }

  /** Looks at the errands of all subjects, some of which may be this server's now. */
  async lookAtAll(): Promise<void> {
    const doing = [...this.#doing.values()].map(({ subject }) => subject);
    const subjects = await listErrandSubjects(this.#options.store.read);
    for (const subject of new Set([...doing, ...subjects])) this.#looks.wake(subject);
  }

  /** Another server does the work of a subject now, and its errands with it. */
  leave(subject: string): void {
    for (const { subject: of, abort } of [...this.#doing.values()]) if (of === subject) abort.abort();
  }

  /**
   * Resolves when some server has done it; whoever asks then ends it. Rejects with the RaworcError that came of it, or with
   * the signal's reason.
   */
  async ask(kind: ErrandKind, subject: string, signal: AbortSignal, request: unknown = null): Promise<DoneErrand> {
    const { servers, store, wakeups } = this.#options;
    signal.throwIfAborted();
    if (!servers.hasOperator) throw noOperator();
    const id = randomUUIDv7();
    let changed = false;
    let wake: (() => void) | undefined;
    const notice = () => {
      changed = true;
      wake?.();
    };
    const stop = wakeups.on("errand", id, notice);
    signal.addEventListener("abort", notice);
    const end = () => {
      if (this.#asked.delete(id)) this.#rows.wake(`${id} ${subject}`);
    };
    const asked: AskedErrand = { id, kind, subject, request: JSON.stringify(request) };
    this.#asked.set(id, asked);
    try {
      await store.write((transaction) => insertErrand(transaction, { ...asked, server_id: servers.id }));
      wakeups.emit("errands", subject, undefined);
      for (;;) {
        signal.throwIfAborted();
        if (changed) {
          changed = false;
          const answer = answerOf(await findErrand(store.read, id));
          if (answer !== undefined) return { result: answer.result, end };
        }
        await new Promise<void>((resolve) => {
          wake = resolve;
          if (changed) resolve();
        });
      }
    } catch (error) {
      end();
      throw error;
    } finally {
      stop();
      signal.removeEventListener("abort", notice);
    }
  }

  /** What was begun for other servers is left to the next one. */
  async close(): Promise<void> {
    for (const { abort } of this.#doing.values()) abort.abort();
    await Promise.all([this.#looks.close(), this.#rows.close()]);
  }

  async #look(subject: string): Promise<"done"> {
    const errands = await listErrands(this.#options.store.read, subject);
    const ids = new Set(errands.map(({ id }) => id));
    for (const [id, { subject: of, abort }] of [...this.#doing]) if (of === subject && !ids.has(id)) abort.abort();
    for (const errand of errands) if (!this.#doing.has(errand.id)) void this.#do(errand);
    return "done";
  }

  /** Never throws. */
  async #do(errand: Errand): Promise<void> {
    const { log, store, wakeups } = this.#options;
    const { id, kind, request, subject } = errand;
    const abort = new AbortController();
    const { signal } = abort;
    this.#doing.set(id, { subject, abort });
    try {
      const done = await this.#handle(errand, signal);
      if (done !== undefined) {
        const { onEnd } = done;
        if (signal.aborted) return onEnd?.();
        signal.addEventListener("abort", () => onEnd?.());
        const { result, error } = done;
        await store.write((transaction) => answerErrand(transaction, id, JSON.stringify({ result, error })));
        wakeups.emit("errand", id, undefined);
        await new Promise((resolve) => signal.addEventListener("abort", resolve));
      }
    } catch (error) {
      abort.abort();
      log.warn({ err: error, errand: kind, subject, request }, "an errand was not answered; it is looked at again");
    } finally {
      this.#doing.delete(id);
    }
  }

  async #handle(
    { id, kind, request, subject }: Errand,
    signal: AbortSignal,
  ): Promise<(Done & z.output<typeof Answer>) | undefined> {
    const handler = this.#handlers.get(kind);
    try {
      return await handler?.({ id, subject, request: JSON.parse(request) }, signal);
    } catch (error) {
      if (signal.aborted) return undefined;
      if (isRaworcError(error, "not_ready")) throw error;
      if (isRaworcError(error)) return { error: { code: error.code, message: error.message } };
      if (error instanceof DriverError) return { error: { code: "computer_unreachable", message: error.describe() } };
      this.#options.log.error({ err: error, errand: kind, subject }, "an errand failed");
      return { error: { code: "internal", message: "The server failed; its log says why." } };
    }
  }

  async #settleRow(key: string): Promise<"done"> {
    const { servers, store, wakeups } = this.#options;
    const [id = "", subject = ""] = key.split(" ");
    await store.write(async (transaction) => {
      const asked = this.#asked.get(id);
      if (asked === undefined) return deleteErrand(transaction, id);
      if ((await findErrand(transaction, id)) === undefined) {
        await insertErrand(transaction, { ...asked, server_id: servers.id });
      }
    });
    wakeups.emit("errands", subject, undefined);
    return "done";
  }
}

function noOperator(): RaworcError {
  const detail =
    "No operator runs that could do this. Start it with raworc start operator, or where it is a container with raworc start --docker; then try again.";
  return new RaworcError("not_ready", detail, { retryAfterSeconds: 1 });
}

function answerOf(errand: Errand | undefined): z.output<typeof Answer> | undefined {
  if (errand === undefined) {
    throw new RaworcError("not_ready", "The servers have lost sight of each other; try again.", {
      retryAfterSeconds: 1,
    });
  }
  if (errand.answer === null) return undefined;
  const answer = Answer.parse(JSON.parse(errand.answer));
  if (answer.error !== undefined) throw new RaworcError(answer.error.code, answer.error.message);
  return answer;
}

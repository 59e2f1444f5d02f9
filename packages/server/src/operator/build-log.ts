import { appendBuildLog, listBuildLog } from "../store/build-logs.ts";
import { findBuild } from "../store/builds.ts";
import type { Store, Transaction } from "../store/store.ts";
import type { Wakeups } from "./wakeups.ts";

const PAGE = 500;
/** A build that prints more than this is cut; the tail of a failure is in the build's error. */
const LINES_MAX = 100_000;
const LINE_MAX_CHARACTERS = 4096;
/** Lines that wait for the running commit; a builder that prints faster waits. */
const WAITING_MAX = 2000;

/** One transaction of whoever runs the build. */
type Write = (work: (transaction: Transaction) => Promise<void>) => Promise<void>;

/** The log of one build while it runs. Lines that come while a commit runs share the next one. */
export class BuildLogWriter {
  readonly #writeLog: Write;
  readonly #wakeups: Wakeups;
  readonly #buildId: string;
  #waiting: string[] = [];
  #count = 0;
  #writing: Promise<void> | undefined;

  constructor(write: Write, wakeups: Wakeups, buildId: string) {
    this.#writeLog = write;
    this.#wakeups = wakeups;
    this.#buildId = buildId;
  }

  /** Resolves at once unless many lines wait. */
  async add(line: string): Promise<void> {
    this.#count += 1;
    if (this.#count > LINES_MAX) return;
    const cut = this.#count === LINES_MAX ? "… the rest of this log is left out: it is too long" : line;
    this.#waiting.push(cut.length > LINE_MAX_CHARACTERS ? `${cut.slice(0, LINE_MAX_CHARACTERS)}…` : cut);
    if (this.#writing === undefined) {
      this.#writing = this.#write();
      // Whoever flushes hears of a failure; until then nobody listens.
      this.#writing.catch(() => undefined);
    }
    if (this.#waiting.length > WAITING_MAX) await this.flush();
  }

  async flush(): Promise<void> {
    while (this.#writing !== undefined) await this.#writing;
  }

  async #write(): Promise<void> {
    try {
      // Whoever adds in this same tick joins the first commit.
      await Promise.resolve();
      while (this.#waiting.length > 0) {
        const lines = this.#waiting;
        this.#waiting = [];
        await this.#writeLog((transaction) => appendBuildLog(transaction, this.#buildId, lines));
        this.#wakeups.emit("build", this.#buildId, undefined);
      }
    } finally {
      this.#writing = undefined;
    }
  }
}

/** The lines of a build's log; with `follow` until the build has ended. */
export async function* readBuildLog(
  store: Store,
  wakeups: Wakeups,
  buildId: string,
  options: { readonly follow: boolean; readonly after: number },
  signal: AbortSignal,
): AsyncGenerator<{ readonly seq: number; readonly line: string }> {
  let last = options.after;
  let changed = false;
  let wake: (() => void) | undefined;
  const notice = () => {
    changed = true;
    wake?.();
  };
  const stop = wakeups.on("build", buildId, notice);
  signal.addEventListener("abort", notice);
  try {
    while (!signal.aborted) {
      changed = false;
      // The status is read before the lines: what was logged before the end is then surely seen.
      const build = await findBuild(store.read, buildId);
      for (let page = await listBuildLog(store.read, buildId, last, PAGE); page.length > 0; ) {
        for (const { seq, line } of page) {
          last = seq;
          yield { seq, line };
        }
        page = page.length < PAGE ? [] : await listBuildLog(store.read, buildId, last, PAGE);
      }
      const ended = build === undefined || (build.status !== "pending" && build.status !== "building");
      if (!options.follow || ended) return;
      await new Promise<void>((resolve) => {
        wake = resolve;
        if (changed) resolve();
      });
      wake = undefined;
    }
  } finally {
    stop();
    signal.removeEventListener("abort", notice);
  }
}

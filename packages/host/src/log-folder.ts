import { readdirSync, rmSync, statfsSync, statSync } from "node:fs";
import { COMPUTER } from "@raworc/contract";
import { LOG_FILES_MAX, LOG_FOLDER_MAX_BYTES } from "./limits.ts";

interface Kept {
  readonly path: string;
  readonly bytes: number;
}

/**
 * Keeps `/session/logs` bounded: the agent can't remove what is there, so the host does, the oldest first. The folder may hold
 * a tenth of the disk, and no more than LOG_FOLDER_MAX_BYTES in LOG_FILES_MAX files.
 */
export class LogFolder {
  /** Oldest first. Undefined until the first use, so a start is not slowed by a long history. */
  #files: Kept[] | undefined;
  #bytes = 0;
  /** The times that name the newest files, in milliseconds, by agent. */
  readonly #times = new Map<string, number>();
  #maxBytes = LOG_FOLDER_MAX_BYTES;

  /** A time for the names of an agent's files: of two messages in the same millisecond, the later one counts on. */
  claimTime(agent: string, now: Date): Date {
    const time = Math.max(now.getTime(), (this.#times.get(agent) ?? 0) + 1);
    this.#times.set(agent, time);
    return new Date(time);
  }

  /** A file is closed. `name`: relative to the session's folder. */
  add(name: string, bytes: number): void {
    this.#load().push({ path: `${COMPUTER.session}/${name}`, bytes });
    this.#bytes += bytes;
    this.#prune();
  }

  #prune(): void {
    const files = this.#load();
    while (this.#bytes > this.#maxBytes || files.length > LOG_FILES_MAX) {
      const oldest = files.shift();
      if (oldest === undefined) return;
      this.#bytes -= oldest.bytes;
      rmSync(oldest.path, { force: true });
    }
  }

  #load(): Kept[] {
    if (this.#files !== undefined) return this.#files;
    const { blocks, bsize } = statfsSync(COMPUTER.logs);
    this.#maxBytes = Math.min(LOG_FOLDER_MAX_BYTES, (blocks * bsize) / 10);
    const found = readdirSync(COMPUTER.logs).flatMap((name) => {
      const path = `${COMPUTER.logs}/${name}`;
      const stat = statSync(path, { throwIfNoEntry: false });
      return stat?.isFile() ? [{ path, bytes: stat.size, time: stat.mtimeMs }] : [];
    });
    found.sort((a, b) => a.time - b.time);
    this.#bytes = found.reduce((sum, { bytes }) => sum + bytes, 0);
    this.#files = found;
    return this.#files;
  }
}

import type { Socket } from "node:net";
import type { Readable, Writable } from "node:stream";
import { encodeFrame, FRAME, FrameReader, frameHead } from "@raworc/contract";
import type { AgentProcess } from "./agent-process.ts";
import { SCROLLBACK_KEPT_BYTES, TERMINAL_VIEWERS_MAX, VIEWER_PATIENCE_MS, VIEWER_PAUSE_BYTES } from "./limits.ts";
import { RequestError } from "./requests.ts";
import { settle } from "./settle.ts";

export interface Size {
  readonly cols: number;
  readonly rows: number;
}

const LF = 0x0a;
const PIECE_BYTES = 4096;

/**
 * One terminal with its shell. Output goes to all viewers, and its end is kept for those to come. The slowest viewer sets the
 * pace of what runs in it, but one who keeps others waiting for long is let go.
 */
export class Terminal {
  readonly #started: AgentProcess;
  readonly #input: Writable;
  readonly #output: Readable;
  readonly #viewers = new Set<Socket>();
  /** Runs while some wait for others. */
  #patience: NodeJS.Timeout | undefined;
  #scrollback: Buffer[] = [];
  #scrollbackBytes = 0;

  constructor(started: AgentProcess, onEnd: () => void) {
    const input = started.input(0);
    if (input === undefined) throw new Error("The terminal's process has no input");
    this.#started = started;
    this.#input = input;
    this.#output = started.output(1);
    input.on("error", () => undefined);
    input.on("drain", () => {
      for (const viewer of this.#viewers) viewer.resume();
    });
    // Only Node.js itself writes there, when the process can't work at all.
    for (const stream of [this.#output, started.output(2)]) {
      stream.on("error", () => undefined);
      stream.on("data", (piece: Buffer) => this.#show(piece));
    }
    started.child.once("exit", (code) => {
      onEnd();
      void this.#end(code);
    });
  }

  /** Throws RequestError when too many look on. */
  assertRoom(): void {
    if (this.#viewers.size < TERMINAL_VIEWERS_MAX) return;
    throw new RequestError(409, "conflict", `${TERMINAL_VIEWERS_MAX} are looking on already.`);
  }

  resize(size: Size): void {
    this.#input.write(encodeFrame(FRAME.control, Buffer.from(JSON.stringify(size))));
  }

  /** Shows a viewer what there was and what comes, and takes what he types. */
  addViewer(viewer: Socket): void {
    this.#viewers.add(viewer);
    for (const piece of this.#scrollback) send(viewer, piece);
    const reader = new FrameReader();
    viewer.on("data", (piece: Buffer) => {
      try {
        for (const { content, kind } of reader.push(piece)) this.#take(kind, content);
      } catch {
        viewer.destroy();
      }
      if (this.#input.writableNeedDrain) viewer.pause();
    });
    viewer.on("drain", () => this.#pace());
    this.#pace();
    viewer.on("error", () => undefined);
    viewer.once("close", () => {
      this.#viewers.delete(viewer);
      this.#pace();
    });
    viewer.once("end", () => viewer.destroy());
    viewer.resume();
  }

  #take(kind: number, content: Buffer): void {
    if (kind === FRAME.data) {
      this.#input.write(encodeFrame(FRAME.data, content));
      return;
    }
    const { cols, rows } = JSON.parse(content.toString()) as Size;
    this.resize({ cols, rows });
  }

  #show(piece: Buffer): void {
    this.#keep(piece);
    for (const viewer of this.#viewers) send(viewer, piece);
    this.#pace();
  }

  /** While there is a viewer with much before him, nothing more is read. */
  #pace(): void {
    const behind = this.#behind();
    if (behind.length === 0) {
      clearTimeout(this.#patience);
      this.#patience = undefined;
      if (this.#output.isPaused()) this.#output.resume();
      return;
    }
    this.#output.pause();
    if (behind.length === this.#viewers.size || this.#patience !== undefined) return;
    const begun = new Set(behind);
    this.#patience = setTimeout(() => {
      this.#patience = undefined;
      const late = this.#behind();
      if (late.length < this.#viewers.size) for (const viewer of late) if (begun.has(viewer)) viewer.destroy();
      this.#pace();
    }, VIEWER_PATIENCE_MS);
  }

  #behind(): Socket[] {
    return [...this.#viewers].filter((viewer) => !viewer.destroyed && viewer.writableLength > VIEWER_PAUSE_BYTES);
  }

  #keep(piece: Buffer): void {
    // What comes letter by letter is kept in larger pieces: each has a price of its own.
    const last = this.#scrollback.at(-1);
    if (last !== undefined && last.length + piece.length <= PIECE_BYTES) {
      this.#scrollback[this.#scrollback.length - 1] = Buffer.concat([last, piece]);
    } else this.#scrollback.push(piece);
    this.#scrollbackBytes += piece.length;
    while (this.#scrollbackBytes > SCROLLBACK_KEPT_BYTES) {
      const first = this.#scrollback.shift();
      if (first === undefined) return;
      this.#scrollbackBytes -= first.length;
      const over = SCROLLBACK_KEPT_BYTES - this.#scrollbackBytes;
      if (over <= 0) continue;
      // Whole lines, where there are any: half of a control sequence would be shown as text.
      const tail = first.subarray(first.length - over);
      const kept = tail.subarray(tail.indexOf(LF) + 1);
      this.#scrollback.unshift(kept);
      this.#scrollbackBytes += kept.length;
      return;
    }
  }

  /** `code` is null when the process was killed, as at the computer's end: then nothing is known of the shell. */
  async #end(code: number | null): Promise<void> {
    clearTimeout(this.#patience);
    await settle(this.#output);
    // What was left in the background lives on; nothing of the terminal is there any more.
    this.#started.input(0)?.destroy();
    const exit = encodeFrame(FRAME.control, Buffer.from(JSON.stringify({ type: "exit", exit_code: code })));
    for (const viewer of this.#viewers) {
      if (code === null) viewer.destroy();
      else viewer.end(exit);
    }
    this.#output.resume();
  }
}

function send(viewer: Socket, piece: Buffer): void {
  viewer.cork();
  viewer.write(frameHead(FRAME.data, piece.length));
  viewer.write(piece);
  viewer.uncork();
}

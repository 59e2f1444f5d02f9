import { existsSync } from "node:fs";
import { Socket } from "node:net";
import { constants } from "node:os";
import { ReadStream } from "node:tty";
import { FRAME, FrameReader } from "@raworc/contract";
import { readOwnEnvironment } from "./config.ts";
import { settle } from "./settle.ts";

/**
 * The process of one terminal, which runs as the agent: `node terminal.mjs COLUMNS ROWS`. Frames on stdin are what is typed
 * and the terminal's size, stdout is what is shown. It ends with the shell, and with its exit code.
 */

/** What the addon beside this file can do. */
interface PseudoTerminals {
  fork(
    file: string,
    parameters: readonly string[],
    environment: readonly string[],
    folder: string,
    columns: number,
    rows: number,
    uid: number,
    gid: number,
    isUtf8: boolean,
    unused: string,
    onExit: (code: number, signal: number) => void,
  ): { readonly fd: number; readonly pid: number };
  resize(descriptor: number, columns: number, rows: number): void;
}

const UNCHANGED = -1;
const SIGNAL_BASE = 128;

function loadAddon(): PseudoTerminals {
  const loaded: { exports: unknown } = { exports: {} };
  process.dlopen(loaded as NodeJS.Module, `${import.meta.dirname}/pty.node`, constants.dlopen.RTLD_LAZY);
  return loaded.exports as PseudoTerminals;
}

const [columns = 80, rows = 24] = process.argv.slice(2).map(Number);
const addon = loadAddon();
const shell = existsSync("/bin/bash") ? "/bin/bash" : "/bin/sh";
const environment = Object.entries({ ...readOwnEnvironment(), SHELL: shell }).map(
  ([name, value]) => `${name}=${value}`,
);
const { promise: ended, resolve: onEnd } = Promise.withResolvers<number>();
const { fd, pid } = addon.fork(
  shell,
  ["-i"],
  environment,
  process.cwd(),
  columns,
  rows,
  UNCHANGED,
  UNCHANGED,
  true,
  "",
  (code, signal) => onEnd(signal === 0 ? code : SIGNAL_BASE + signal),
);
const screen = new ReadStream(fd);
const input = new Socket({ fd: 0, readable: true, writable: false });
const output = new Socket({ fd: 1, readable: false, writable: true });

// The last program has let go of the terminal: reading it fails.
screen.on("error", () => undefined);
screen.on("data", (piece: Buffer) => {
  if (!output.write(piece)) screen.pause();
});
output.on("drain", () => screen.resume());
output.on("error", hangUp);

const reader = new FrameReader();
input.on("data", (piece: Buffer) => {
  for (const { kind, content } of reader.push(piece)) {
    if (kind === FRAME.control) resize(content);
    else if (!screen.write(content)) input.pause();
  }
});
screen.on("drain", () => input.resume());
input.on("end", hangUp);
input.on("error", hangUp);

function resize(content: Buffer): void {
  const { cols, rows: lines } = JSON.parse(content.toString()) as { cols: number; rows: number };
  addon.resize(fd, cols, lines);
}

/** Nobody will look at this terminal any more. */
function hangUp(): void {
  try {
    process.kill(pid, "SIGHUP");
  } catch {
    // The shell ended meanwhile.
  }
  process.exit(SIGNAL_BASE + constants.signals.SIGHUP);
}

const code = await ended;
await settle(screen);
output.end(() => process.exit(code));

import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { chmod, open, rename, rm, stat } from "node:fs/promises";
import { dirname } from "node:path";
import { text } from "node:stream/consumers";
import { fileURLToPath } from "node:url";
import { SERVER_NODE_FLAGS } from "@raworc/server";
import { z } from "zod";
import type { Config } from "./config.ts";
import { CommandFailure } from "./failure.ts";
import { makeFolder } from "./home.ts";
import type { Overrides } from "./local-server.ts";

/** What the server's process says over its channel while it starts. */
const StartMessage = z.union([
  z.object({ url: z.url().nullable(), runtime: z.string(), reason: z.string() }),
  z.object({ error: z.string() }),
  z.object({ progress: z.string() }),
]);

export interface StartedServer {
  readonly process: ChildProcess;
  /** Null where it answers no calls. */
  readonly url: string | null;
  readonly runtime: string;
  readonly reason: string;
}

/** The server did not become healthy. */
export class StartFailure extends Error {
  override readonly name = "StartFailure";
  /** Whether the message is the server's own word; else only its log tells why. */
  readonly isExplained: boolean;

  constructor(message: string, isExplained: boolean) {
    super(message);
    this.isExplained = isExplained;
  }
}

export type ServerOutput = { readonly kind: "inherit" } | { readonly kind: "log"; readonly path: string };

const LOG_MAX_BYTES = 20 * 1024 * 1024;

/** The program of the server: its source in a checkout, else what was bundled with this program. */
function serverProgram(): string {
  const bundled = fileURLToPath(new URL("./server.js", import.meta.url));
  if (existsSync(bundled)) return bundled;
  return fileURLToPath(new URL("./main.ts", import.meta.resolve("@raworc/server")));
}

/** Where the sources of a checkout are kept compiled, for half of the time of a start and less memory. */
const COMPILE_CACHE = fileURLToPath(new URL("../../../node_modules/.cache/raworc", import.meta.url));

function environmentOf(config: Config, overrides: Overrides): NodeJS.ProcessEnv {
  const usual = { ...SERVER_NODE_FLAGS.environment, NODE_COMPILE_CACHE: COMPILE_CACHE };
  return { ...usual, ...config.environment, RAWORC_HOME: config.home, ...overrides };
}

/** The words after Node.js that run a command of the server's program. */
function serverWords(command: string): string[] {
  return [...SERVER_NODE_FLAGS.arguments, serverProgram(), command];
}

/** Runs a command of the server's program in the foreground and gives its exit code. */
export async function runServerCommand(config: Config, command: string, overrides: Overrides): Promise<number> {
  const child = spawn(process.execPath, serverWords(command), {
    env: environmentOf(config, overrides),
    stdio: ["ignore", "inherit", "inherit"],
  });
  const [code] = (await once(child, "exit")) as [number | null];
  return code ?? 1;
}

/** Runs a command of the server's program and gives what it says. */
export async function askServerCommand(
  config: Config,
  command: string,
  overrides: Overrides,
): Promise<{ readonly code: number; readonly out: string; readonly err: string }> {
  const child = spawn(process.execPath, serverWords(command), {
    env: environmentOf(config, overrides),
    stdio: ["ignore", "pipe", "pipe"],
  });
  const closed = once(child, "close") as Promise<[number | null]>;
  const [out, err, [code]] = await Promise.all([text(child.stdout), text(child.stderr), closed]);
  return { code: code ?? 1, out, err };
}

export interface StartOptions {
  readonly config: Config;
  readonly overrides: Overrides;
  readonly output: ServerOutput;
  readonly onProgress?: (text: string) => void;
  readonly signal?: AbortSignal;
}

/**
 * Starts the server and resolves when it is healthy. With a log it is a process of its own that outlives this one. Throws
 * StartFailure when it ends before; aborted, it is ended first.
 */
export async function startServer(options: StartOptions): Promise<StartedServer> {
  const { config, output, overrides, signal } = options;
  await makeFolder(config.home);
  const log = output.kind === "log" ? await openLog(output.path) : undefined;
  const sink = log?.fd ?? "inherit";
  const child = spawn(process.execPath, serverWords("serve"), {
    detached: log !== undefined,
    env: environmentOf(config, overrides),
    stdio: ["ignore", sink, sink, "ipc"],
  });
  await log?.close();
  const abort = (): void => {
    child.kill("SIGTERM");
  };
  signal?.addEventListener("abort", abort, { once: true });
  try {
    return await untilHealthy(child, options);
  } finally {
    signal?.removeEventListener("abort", abort);
    if (log !== undefined) {
      if (child.connected) child.disconnect();
      child.unref();
    }
  }
}

function untilHealthy(child: ChildProcess, options: StartOptions): Promise<StartedServer> {
  return new Promise((resolve, reject) => {
    let told: string | undefined;
    child.on("message", (message) => {
      const parsed = StartMessage.safeParse(message);
      if (!parsed.success) return;
      if ("url" in parsed.data) resolve({ process: child, ...parsed.data });
      else if ("error" in parsed.data) told = parsed.data.error;
      else options.onProgress?.(parsed.data.progress);
    });
    child.once("error", reject);
    // What the process said last arrives before its channel closes.
    child.once("close", (code, signal) => {
      const end = signal === null ? `exit code ${code}` : signal;
      reject(new StartFailure(told ?? `The server ended with ${end} before it was ready.`, told !== undefined));
    });
  });
}

/** Opens the log to append, readable by its owner alone; one that has grown large is put aside. */
async function openLog(path: string) {
  await makeFolder(dirname(path));
  try {
    const found = await stat(path).catch(() => undefined);
    if (found !== undefined && found.size > LOG_MAX_BYTES) {
      await rm(`${path}.1`, { force: true });
      await rename(path, `${path}.1`);
    }
    const file = await open(path, "a", 0o600);
    await chmod(path, 0o600);
    return file;
  } catch (error) {
    throw new CommandFailure(`${path} can't be written: ${error instanceof Error ? error.message : String(error)}`);
  }
}

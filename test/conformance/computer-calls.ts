import { randomUUIDv7 } from "node:crypto";
import { Readable } from "node:stream";
import { stripVTControlCharacters } from "node:util";
import { encodeFrame, FRAME, FrameReader, type HostExec } from "@raworc/contract";
import type { ComputerNotice, ComputerSpec, RuntimeDriver } from "../../packages/server/src/runtime/driver.ts";
import { HostConnection } from "../../packages/server/src/runtime/host-connection.ts";
import { HostFiles } from "../../packages/server/src/runtime/host-files.ts";

export interface CommandEnd {
  readonly stdout: string;
  readonly stderr: string;
  readonly exitCode: number | null;
  readonly signal: string | null;
}

/** A computer with nothing special about it; a test names what matters to it. */
export function specOf(given: Partial<ComputerSpec> = {}): ComputerSpec {
  return {
    id: randomUUIDv7(),
    kind: "session",
    spaceId: "space",
    limits: { cpus: 1, memory_mb: 512, disk_mb: 512, pids: 256 },
    network: { mode: "none", allow: [] },
    root: false,
    build: null,
    mounts: [],
    ...given,
  };
}

/** Runs a command inside, as agents are run. */
export async function run(
  driver: RuntimeDriver,
  id: string,
  command: HostExec["command"],
  given: Partial<HostExec> = {},
): Promise<CommandEnd> {
  const connection = new HostConnection(driver.socketDirectory(id));
  const streams = { stdout: [] as Buffer[], stderr: [] as Buffer[] };
  let end = { exitCode: null as number | null, signal: null as string | null };
  try {
    const request: HostExec = { command, cwd: "/", env: {}, timeout_s: 60, ...given };
    for await (const line of connection.exec(request, AbortSignal.timeout(90_000))) {
      if (line.type === "exit") end = { exitCode: line.exit_code, signal: line.signal };
      else streams[line.type].push(Buffer.from(line.data, line.encoding === "base64" ? "base64" : "utf8"));
    }
  } finally {
    connection.close();
  }
  const text = (pieces: Buffer[]): string => Buffer.concat(pieces).toString();
  return { stdout: text(streams.stdout), stderr: text(streams.stderr), ...end };
}

/** Through the host's own calls for files and terminals: what a file that it wrote looks like inside, and what is refused. */
export async function reachIn(socketDirectory: string): Promise<Record<string, string>> {
  const connection = new HostConnection(socketDirectory);
  const files = new HostFiles(connection);
  const signal = AbortSignal.timeout(60_000);
  const place = (path: string) => ({ path, reach: "any" as const });
  const refusal = (work: Promise<unknown>): Promise<string> =>
    work.then(
      () => "done",
      (error) => String(error.code),
    );
  try {
    await files.write(place("/session/workspace/reached"), Readable.from([Buffer.from("reached")]), {}, signal);
    const state = place("/session/state/journal.ndjson");
    return {
      state: await refusal(files.read(state, { headers: {}, method: "GET", signal })),
      kernel: await refusal(files.stat(place("/proc/self/environ"), signal)),
      terminal: await typeInto(
        connection,
        "id -u; stat -c %u reached; cat reached; ls -A /session/state; exit 3\n",
        signal,
      ),
    };
  } finally {
    connection.close();
  }
}

/** What comes after the echo of a line that is typed into a new terminal, without line breaks, and its exit. */
async function typeInto(connection: HostConnection, line: string, signal: AbortSignal): Promise<string> {
  const socket = await connection.upgrade("terminals", "main", signal);
  socket.write(encodeFrame(FRAME.data, Buffer.from(line)));
  const reader = new FrameReader();
  let shown = "";
  for await (const piece of socket as AsyncIterable<Buffer>) {
    for (const { content, kind } of reader.push(piece)) shown += kind === FRAME.data ? content : ` ${content}`;
  }
  return stripVTControlCharacters(shown.slice(shown.lastIndexOf("exit 3") + 6))
    .replaceAll(/\s+/g, " ")
    .trim();
}

/** What a command prints; it must end well. */
export async function output(driver: RuntimeDriver, id: string, command: HostExec["command"]): Promise<string> {
  const end = await run(driver, id, command);
  if (end.exitCode === 0) return end.stdout.trim();
  throw new Error(`${JSON.stringify(command)} ended with ${end.exitCode ?? end.signal}: ${end.stdout}${end.stderr}`);
}

/** Starts a computer and gives it to a session, as the control plane does. */
export async function open(driver: RuntimeDriver, spec: ComputerSpec): Promise<string> {
  const { status } = await driver.start(spec, AbortSignal.timeout(60_000));
  if (status !== "running") throw new Error(`Started, and yet ${status}`);
  await claim(driver, spec.id, {});
  return spec.id;
}

export async function claim(
  driver: RuntimeDriver,
  id: string,
  environment: Readonly<Record<string, string>>,
): Promise<void> {
  const connection = new HostConnection(driver.socketDirectory(id));
  const signal = AbortSignal.timeout(30_000);
  try {
    await connection.claim({ session_id: id, space: "default", environment: { ...environment }, agents: [] }, signal);
  } finally {
    connection.close();
  }
}

/** Resolves with the next notice about one computer. Made before what it waits for is done. */
export function noticeOf(
  driver: RuntimeDriver,
  id: string,
): { readonly seen: Promise<void>; readonly leave: () => void } {
  const leaving = new AbortController();
  const seen = new Promise<void>((resolve) => {
    driver.watch((notice: ComputerNotice) => notice.id === id && resolve(), leaving.signal);
  });
  return { seen, leave: () => leaving.abort() };
}

import type { HostLogLine } from "@raworc/contract";
import type { HttpResponse } from "./http-response.ts";
import { findLogs, isNewerThan, type LogFile, parseLogName, readTail } from "./log-files.ts";
import { LogFollower } from "./log-follower.ts";
import { RequestError } from "./requests.ts";
import type { Call } from "./server.ts";

const LINES_MAX = 10_000;
const AGENT = /^[a-z0-9][a-z0-9_-]{0,62}$/;

/**
 * The ends of the logs below `/session/logs`: first the host's, then the agents' in the order of the messages. Of one agent
 * alone, they are those of its newest message. With `follow` what is written from then on comes after them.
 */
export async function sendLogs({ response, url }: Call): Promise<void> {
  const lines = Number(url.searchParams.get("lines") ?? "100");
  const agent = url.searchParams.get("agent") ?? undefined;
  if (!Number.isInteger(lines) || lines < 1 || lines > LINES_MAX) throw wrong("lines");
  if (agent !== undefined && !AGENT.test(agent)) throw wrong("agent");
  const follows = url.searchParams.get("follow") === "true";
  const writer = new LineWriter(response);
  const found = findLogs(agent);
  // What comes while the ends are read is not missed.
  const follower = follows ? new LogFollower((name) => isWanted(name, agent, found.oldest)) : undefined;
  try {
    response.writeHead(200, { "content-type": "application/x-ndjson" });
    for (const file of choose(found.files, agent)) {
      const tail = readTail(file, lines);
      follower?.startAt(file.name, tail.end);
      for (const line of tail.lines) await writer.write({ source: file.source, file: file.name, line });
    }
    if (follower === undefined) response.end();
    else for await (const line of follower.lines(writer.closed)) await writer.write(line);
  } finally {
    follower?.close();
  }
}

function choose(files: readonly LogFile[], agent: string | undefined): readonly LogFile[] {
  if (agent === undefined) return files;
  const newest = files.at(-1)?.stamp;
  return files.filter(({ stamp }) => stamp === newest);
}

function isWanted(name: string, agent: string | undefined, oldest: string): LogFile | undefined {
  const file = parseLogName(name);
  if (file === undefined || (agent !== undefined && file.agent !== agent)) return undefined;
  return isNewerThan(file, oldest) ? file : undefined;
}

function wrong(name: string): RequestError {
  return new RequestError(422, "validation_failed", `${name} is not what it may be`);
}

/** Writes lines as fast as they are taken. */
class LineWriter {
  readonly #response: HttpResponse;
  /** Resolves when nobody reads any more. */
  readonly closed: Promise<void>;

  constructor(response: HttpResponse) {
    this.#response = response;
    this.closed = new Promise((resolve) => response.once("close", resolve));
  }

  async write(line: HostLogLine): Promise<void> {
    if (this.#response.destroyed || this.#response.write(`${JSON.stringify(line)}\n`)) return;
    const drained = new Promise<void>((resolve) => this.#response.once("drain", resolve));
    await Promise.race([drained, this.closed]);
  }
}

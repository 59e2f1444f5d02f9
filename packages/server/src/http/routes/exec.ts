import { EXEC_OUTPUT_MAX_BYTES, type ExecAnswer, type HostExecLine } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import type { Collaborators } from "../collaborators.ts";
import { acceptsEventStream, sendEvents } from "../event-stream.ts";
import { route } from "../route.ts";
import { locateSession } from "./locations.ts";

export function execRoutes(app: FastifyInstance, { sessions, store }: Collaborators): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });

  route(app, "sessions.exec", { locate: live }, async ({ audited, body, located, request, reply, signal }) => {
    await audited();
    const lease = await sessions.acquire(located.session.id, signal);
    try {
      const lines = lease.connection.exec(body, signal);
      if (acceptsEventStream(request)) return await sendEvents(app, reply, toEvents(lines));
      return await collect(lines);
    } finally {
      lease.release();
    }
  });
}

async function* toEvents(lines: AsyncIterable<HostExecLine>) {
  for await (const { type, ...data } of lines) yield { type, data };
}

async function collect(lines: AsyncIterable<HostExecLine>): Promise<ExecAnswer> {
  const outputs = { stdout: new Output(), stderr: new Output() };
  for await (const line of lines) {
    if (line.type !== "exit") {
      outputs[line.type].add(Buffer.from(line.data, line.encoding));
      continue;
    }
    const texts = { stdout: outputs.stdout.text(), stderr: outputs.stderr.text() };
    const isText = texts.stdout !== undefined && texts.stderr !== undefined;
    return {
      stdout: isText ? (texts.stdout ?? "") : outputs.stdout.base64(),
      stderr: isText ? (texts.stderr ?? "") : outputs.stderr.base64(),
      exit_code: line.exit_code,
      signal: line.signal,
      timed_out: line.timed_out,
      truncated: outputs.stdout.truncated || outputs.stderr.truncated,
      encoding: isText ? "utf-8" : "base64",
    };
  }
  throw new Error("The host ended a command's answer without its exit");
}

/** What a command has written to one stream, up to the limit. */
class Output {
  truncated = false;
  readonly #pieces: Buffer[] = [];
  #length = 0;

  add(piece: Buffer): void {
    const left = EXEC_OUTPUT_MAX_BYTES - this.#length;
    if (piece.length > left) this.truncated = true;
    // An empty part of a piece would keep the whole of it in memory.
    if (left === 0) return;
    const kept = piece.subarray(0, left);
    this.#pieces.push(kept);
    this.#length += kept.length;
  }

  /** Undefined when it is no UTF-8. A character that the limit cuts is left out. */
  text(): string | undefined {
    const decoder = new TextDecoder("utf-8", { fatal: true, ignoreBOM: true });
    try {
      return decoder.decode(Buffer.concat(this.#pieces), { stream: this.truncated });
    } catch {
      return undefined;
    }
  }

  base64(): string {
    return Buffer.concat(this.#pieces).toString("base64");
  }
}

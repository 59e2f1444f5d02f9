import type { ServerResponse } from "node:http";
import { RaworcError } from "@raworc/contract";
import type { FastifyInstance, FastifyReply } from "fastify";
import { SENT, type Sent } from "./call.ts";

export interface StreamOptions {
  readonly contentType: string;
  /** Written before everything else. */
  readonly opening?: string;
  /** Written at each heartbeat, so that a silent stream is known to live. */
  readonly heartbeat?: string;
  /** What ends the stream when its source fails in a way that the client may know of. */
  readonly onFailure?: (error: RaworcError) => string;
}

/** Resolves when more can be written, or when nothing ever can. */
function writable(response: ServerResponse): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      response.off("drain", done);
      response.off("close", done);
      resolve();
    };
    response.on("drain", done);
    response.on("close", done);
  });
}

/**
 * Answers with chunks as they come, and resolves when the last is handed to the connection. The source is asked for the
 * next chunk only when the reader has taken those before, so a slow reader costs one chunk of memory. The source must end
 * with the call's signal; the connection itself is closed at once when the server stops.
 */
export async function sendStream(
  app: FastifyInstance,
  reply: FastifyReply,
  chunks: AsyncIterable<string>,
  options: StreamOptions,
): Promise<Sent> {
  const { raw, request } = reply;
  const { closing, heartbeat } = app.api;
  reply.headers({
    "content-type": options.contentType,
    "cache-control": "no-store, no-transform",
    "x-accel-buffering": "no",
  });
  if (request.method === "HEAD") {
    reply.send();
    return SENT;
  }
  reply.hijack();
  raw.writeHead(reply.statusCode, reply.getHeaders() as Record<string, string>);
  raw.flushHeaders();
  const end = (): void => {
    if (!raw.writableEnded) raw.end();
  };
  const beat = options.heartbeat;
  const stopBeats =
    beat === undefined
      ? undefined
      : heartbeat.listen(() => {
          if (!raw.writableNeedDrain && !raw.writableEnded) raw.write(beat);
        });
  closing.addEventListener("abort", end, { once: true });
  try {
    if (closing.aborted) end();
    else if (options.opening !== undefined) raw.write(options.opening);
    for await (const chunk of chunks) {
      if (raw.destroyed || raw.writableEnded) break;
      if (!raw.write(chunk)) await writable(raw);
    }
  } catch (error) {
    const isOver = raw.destroyed || raw.writableEnded;
    if (!isOver && error instanceof RaworcError && options.onFailure !== undefined) raw.write(options.onFailure(error));
    else if (!isOver) {
      request.log.error({ err: error }, "stream failed");
      // A stream that is cut short must not look complete.
      raw.destroy();
    }
  } finally {
    stopBeats?.();
    closing.removeEventListener("abort", end);
    end();
  }
  return SENT;
}

/** Answers with plain text, piece by piece. */
export function sendText(app: FastifyInstance, reply: FastifyReply, pieces: AsyncIterable<string>): Promise<Sent> {
  return sendStream(app, reply, pieces, { contentType: "text/plain; charset=utf-8" });
}

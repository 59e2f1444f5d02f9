import { RaworcError } from "@raworc/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import type { Sent } from "./call.ts";
import { mapAsync } from "./map-async.ts";
import { sendStream } from "./stream.ts";

/** An event of a stream: `id` resumes after it, `type` names it, and the whole of it is the data. */
export interface StreamedEvent {
  readonly id?: number | undefined;
  readonly type: string;
}

const LINE_BREAK = /\r\n|\r|\n/g;

/** Frames an event as server-sent events want it. */
export function formatEvent(event: StreamedEvent): string {
  const id = event.id === undefined ? "" : `id: ${event.id}\n`;
  return `${id}event: ${event.type.replace(LINE_BREAK, " ")}\ndata: ${JSON.stringify(event)}\n\n`;
}

/** Whether the caller asks for a stream of events. */
export function acceptsEventStream(request: FastifyRequest): boolean {
  return request.headers.accept?.toLowerCase().includes("text/event-stream") ?? false;
}

/** The id after which a reader wants to go on. Throws `validation_failed` for what is none. */
export function lastEventId(request: FastifyRequest): number | undefined {
  const header = request.headers["last-event-id"];
  if (header === undefined || header === "") return undefined;
  const id = typeof header === "string" && /^\d{1,15}$/.test(header) ? Number(header) : undefined;
  if (id !== undefined) return id;
  const message = "is not the id of an event; send back the last id as it came";
  throw new RaworcError("validation_failed", `Last-Event-ID ${message}.`, {
    errors: [{ path: "headers.last-event-id", message }],
  });
}

/**
 * Answers with a stream of server-sent events, with a comment every 15 s. The source must end with the call's signal.
 * An expected failure of the source ends the stream with an event `error`; any other cuts the connection. `after` is the id
 * that the events follow: a reader who loses the connection before the first of them goes on from there.
 */
export function sendEvents(
  app: FastifyInstance,
  reply: FastifyReply,
  events: AsyncIterable<StreamedEvent>,
  after?: number,
): Promise<Sent> {
  return sendStream(app, reply, mapAsync(events, formatEvent), {
    contentType: "text/event-stream; charset=utf-8",
    // An id without data is no event to readers, yet it is what they resume after.
    ...(after === undefined ? {} : { opening: `id: ${after}\n\n` }),
    heartbeat: ":\n\n",
    onFailure: (error) => `event: error\ndata: ${JSON.stringify(error.toProblem())}\n\n`,
  });
}

import { setTimeout as delay } from "node:timers/promises";
import { AnswerError, ApiError, ConnectionError } from "./errors.ts";
import { type ServerSentEvent, ServerSentEventParser } from "./server-sent-events.ts";
import { asProblem } from "./transport.ts";

/** How a broken stream is taken up again. All in milliseconds. */
export interface Reconnect {
  readonly firstDelayMs: number;
  readonly mostDelayMs: number;
  /** A stream that gets no connection for so long is given up. */
  readonly patienceMs: number;
  /** A connection on which nothing comes for so long is dead: the server sends a sign of life each 15 s. */
  readonly silenceMs: number;
}

export const RECONNECT: Reconnect = { firstDelayMs: 100, mostDelayMs: 5000, patienceMs: 60_000, silenceMs: 50_000 };

export interface StreamSource {
  /** Asks for the stream from after an event, or as the caller first asked for it. */
  open(lastEventId: string | undefined, signal: AbortSignal): Promise<Response>;
  /** Whether a stream that ended is complete; else it is taken up again. */
  readonly isComplete: () => Promise<boolean>;
  readonly reconnect: Reconnect;
  readonly server: string;
  readonly signal?: AbortSignal | undefined;
  /** Called for each connection, before its first event. */
  readonly onOpen?: (() => void) | undefined;
}

/**
 * The events of a stream, each once, over as many connections as it takes. Ends when it is complete, or quietly with the
 * signal; throws what no further try would change.
 */
export async function* resumingStream(source: StreamSource): AsyncGenerator<ServerSentEvent> {
  const { reconnect, signal } = source;
  const ended = (): boolean => signal?.aborted === true;
  let lastEventId: string | undefined;
  let failures = 0;
  let givenUpAt = Date.now() + reconnect.patienceMs;
  while (!ended()) {
    const parser = new ServerSentEventParser();
    let opened = false;
    try {
      for await (const chunk of connect(source, lastEventId)) {
        if (!opened) source.onOpen?.();
        opened = true;
        failures = 0;
        for (const event of parser.push(chunk)) {
          throwProblem(event);
          if (event.id !== "") lastEventId = event.id;
          yield event;
        }
        if (parser.lastEventId !== "") lastEventId = parser.lastEventId;
        givenUpAt = Date.now() + reconnect.patienceMs;
      }
      if (await source.isComplete()) return;
    } catch (error) {
      if (ended()) return;
      if (!isTemporary(error) || Date.now() > givenUpAt) throw error;
    }
    failures += 1;
    await pause(reconnect, failures, signal);
  }
}

/** The chunks of one connection; the first is empty and says that there is one. Closes it when the reader leaves. */
async function* connect(source: StreamSource, lastEventId: string | undefined): AsyncGenerator<Uint8Array> {
  const silence = new AbortController();
  const signal = source.signal === undefined ? silence.signal : AbortSignal.any([source.signal, silence.signal]);
  const listen = () => setTimeout(() => silence.abort(), source.reconnect.silenceMs);
  let timer = listen();
  try {
    const response = await source.open(lastEventId, signal);
    const type = response.headers.get("content-type") ?? "";
    if (!type.startsWith("text/event-stream") || response.body === null) {
      await response.body?.cancel();
      throw new AnswerError(`What answers at ${source.server} sent ${type || "nothing"} where a stream was asked for.`);
    }
    yield new Uint8Array();
    for await (const chunk of response.body) {
      // Time that the reader takes between two chunks is no silence of the server's.
      clearTimeout(timer);
      yield chunk;
      timer = listen();
    }
  } catch (error) {
    if (error instanceof ApiError || error instanceof AnswerError || error instanceof ConnectionError) throw error;
    throw new ConnectionError(source.server, silence.signal.aborted ? new Error("the stream fell silent") : error);
  } finally {
    clearTimeout(timer);
  }
}

/** The server ends a stream that it can't go on with by problem details; they have no place in the log. */
function throwProblem(event: ServerSentEvent): void {
  if (event.type !== "error") return;
  const problem = asProblem(event.data);
  if (problem === undefined) return;
  const data = JSON.parse(event.data) as { status?: unknown; id?: unknown };
  if (typeof data.status === "number" && data.id === undefined) throw new ApiError({ ...problem, status: data.status });
}

function isTemporary(error: unknown): boolean {
  if (error instanceof ApiError) return error.status === 429 || error.status >= 500;
  return error instanceof ConnectionError;
}

async function pause(reconnect: Reconnect, failures: number, signal: AbortSignal | undefined): Promise<void> {
  const most = Math.min(reconnect.firstDelayMs * 2 ** Math.min(failures - 1, 20), reconnect.mostDelayMs);
  // Many clients of one server that comes back must not all knock at once.
  const wait = most * (0.5 + Math.random() / 2);
  await delay(wait, undefined, signal === undefined ? {} : { signal }).catch(() => undefined);
}

import { ROUTES, type Route, type RouteName, SessionEvent, TERMINAL_PROTOCOL } from "@raworc/contract";
import { z } from "zod";
import type { CallAnswer, CallRest, ListItem, ListRouteName, UntypedOptions } from "./call.ts";
import { AnswerError } from "./errors.ts";
import { nextCursor } from "./pages.ts";
import { RECONNECT, type Reconnect, resumingStream } from "./resuming-stream.ts";
import type { ServerSentEvent } from "./server-sent-events.ts";
import { SessionFiles } from "./session-files.ts";
import { SessionTerminal, type TerminalOptions } from "./session-terminal.ts";
import { type RawRequest, Transport, type TransportOptions } from "./transport.ts";

export interface ClientOptions extends TransportOptions {
  readonly reconnect?: Partial<Reconnect>;
}

export interface EventsOptions {
  /** Events after this id; `latest` gives only new ones, nothing gives all. */
  readonly after?: number | "latest" | undefined;
  /** Also the log of a session that was deleted. */
  readonly deleted?: boolean;
  readonly signal?: AbortSignal | undefined;
  /** Called when the server has taken the request: what happens from now on will be in the stream. */
  readonly onOpen?: () => void;
}

export interface BuildLogOptions {
  readonly signal?: AbortSignal | undefined;
}

export interface BuildLogLine {
  readonly id: number;
  readonly line: string;
}

export interface Page<Item> {
  readonly items: readonly Item[];
  /** Where the next page begins; undefined after the last. */
  readonly cursor: string | undefined;
}

/** Calls one server as one principal. Everything may throw ApiError, ConnectionError and AnswerError. */
export interface Client {
  readonly server: string;
  /** Calls a route of the contract. The answer is checked against the contract. */
  call<N extends RouteName>(name: N, ...[options]: CallRest<N>): Promise<CallAnswer<N>>;
  /** The same for callers that know the route only when they run. */
  request(name: RouteName, options?: UntypedOptions): Promise<unknown>;
  /** One page of a list. */
  page(name: RouteName, options?: UntypedOptions): Promise<Page<unknown>>;
  /** All items of a list, page by page. */
  items<N extends ListRouteName>(name: N, ...[options]: CallRest<N>): AsyncGenerator<ListItem<N>>;
  /** A session's events, each once and in order, over broken connections. Ends only with the signal. */
  events(sessionId: string, options?: EventsOptions): AsyncGenerator<SessionEvent>;
  /** The lines of a build's log until the build has ended, over broken connections. */
  buildLog(space: string, buildId: string, options?: BuildLogOptions): AsyncGenerator<BuildLogLine>;
  /** A route's answer as a stream of server-sent events, once: it is not taken up again when it breaks. */
  stream(name: RouteName, options?: UntypedOptions): Promise<AsyncIterable<Uint8Array>>;
  /** The files of a session's computer. */
  files(sessionId: string): SessionFiles;
  /** Looks on a terminal of a session, which is made when there is none. */
  terminal(sessionId: string, options: TerminalOptions): Promise<SessionTerminal>;
  /** A route's answer as it is; a problem is thrown. For answers that are no JSON. */
  open(name: RouteName, options?: UntypedOptions): Promise<Response>;
  /** Any path below the API's base, with the token; the answer as it is, whatever its status. */
  raw(path: string, request?: RawRequest): Promise<Response>;
}

const BuildLogEvent = z.object({ id: z.number().int(), data: z.object({ line: z.string() }) });

/** Throws a TypeError when the server's address is none. */
export function createClient(options: ClientOptions): Client {
  const transport = new Transport(options);
  const reconnect: Reconnect = { ...RECONNECT, ...options.reconnect };

  async function read(name: RouteName, given: UntypedOptions): Promise<{ answer: unknown; response: Response }> {
    const response = await transport.send(name, given);
    const { answer }: Route = ROUTES[name];
    if (answer === undefined) {
      await response.body?.cancel();
      return { answer: undefined, response };
    }
    return { answer: check(answer, await transport.readJson(response), name), response };
  }

  async function page(name: RouteName, given: UntypedOptions = {}): Promise<Page<unknown>> {
    const { answer, response } = await read(name, given);
    return { items: answer as unknown[], cursor: nextCursor(response.headers.get("link")) };
  }

  async function* items(name: RouteName, given: UntypedOptions = {}): AsyncGenerator<unknown> {
    let cursor: string | undefined;
    do {
      const found = await page(name, cursor === undefined ? given : { ...given, query: { ...given.query, cursor } });
      yield* found.items;
      cursor = found.cursor;
    } while (cursor !== undefined);
  }

  const follow = (
    name: RouteName,
    given: UntypedOptions,
    isComplete: () => Promise<boolean>,
    onOpen?: () => void,
  ): AsyncGenerator<ServerSentEvent> =>
    resumingStream({
      open: (lastEventId, signal) => {
        const resumed = lastEventId === undefined ? {} : { "last-event-id": lastEventId };
        return transport.send(name, { ...given, signal, headers: { accept: "text/event-stream", ...resumed } });
      },
      isComplete,
      onOpen,
      reconnect,
      server: transport.server,
      signal: given.signal,
    });

  async function* events(sessionId: string, given: EventsOptions = {}): AsyncGenerator<SessionEvent> {
    const query = { after: given.after, deleted: given.deleted };
    const asked = { params: { id: sessionId }, query, signal: given.signal };
    for await (const event of follow("events.list", asked, async () => false, given.onOpen)) {
      yield check(SessionEvent, JSON.parse(event.data), "events.list");
    }
  }

  async function* buildLog(space: string, id: string, given: BuildLogOptions = {}): AsyncGenerator<BuildLogLine> {
    const params = { space, build_id: id };
    // A server that stops ends its streams too: whether the log is complete, only the build can tell.
    const isComplete = async (): Promise<boolean> => {
      const build = await client.call("builds.get", { params, signal: given.signal });
      return build.status !== "pending" && build.status !== "building";
    };
    const asked = { params, query: { follow: true }, signal: given.signal };
    for await (const event of follow("builds.logs", asked, isComplete)) {
      const { id: seq, data } = check(BuildLogEvent, JSON.parse(event.data), "builds.logs");
      yield { id: seq, line: data.line };
    }
  }

  async function terminal(sessionId: string, given: TerminalOptions): Promise<SessionTerminal> {
    const { cols, id, rows, signal } = given;
    const asked = { params: { id: sessionId }, query: { id, cols, rows }, signal };
    const opened = await SessionTerminal.open(
      transport.webSocket("sessions.terminal", TERMINAL_PROTOCOL, asked),
      given,
    );
    if (opened !== undefined) return opened;
    // A WebSocket that fails says nothing about why; a plain request does, and at the latest that it is none.
    await transport.send("sessions.terminal", asked);
    throw new AnswerError(`The server's answer to sessions.terminal is no WebSocket.`);
  }

  const client: Client = {
    server: transport.server,
    call: async <N extends RouteName>(name: N, ...[given]: CallRest<N>) =>
      (await read(name, (given ?? {}) as UntypedOptions)).answer as CallAnswer<N>,
    request: async (name, given = {}) => (await read(name, given)).answer,
    page,
    items: <N extends ListRouteName>(name: N, ...[given]: CallRest<N>) =>
      items(name, (given ?? {}) as UntypedOptions) as AsyncGenerator<ListItem<N>>,
    events,
    buildLog,
    stream: async (name, given = {}) => {
      const headers = { ...given.headers, accept: "text/event-stream" };
      const { body } = await transport.send(name, { ...given, headers });
      if (body === null) throw new AnswerError(`The server's answer to ${name} is empty.`);
      return body;
    },
    terminal,
    files: (sessionId) => new SessionFiles(client, sessionId),
    open: (name, given = {}) => transport.send(name, given),
    raw: (path, request) => transport.raw(path, request),
  };
  return client;
}

function check<Schema extends z.ZodType>(schema: Schema, value: unknown, name: RouteName): z.output<Schema> {
  const result = schema.safeParse(value);
  if (result.success) return result.data;
  const [issue] = result.error.issues;
  const place = issue === undefined ? "" : ` (${issue.path.join(".") || "answer"}: ${issue.message})`;
  throw new AnswerError(
    `The server's answer to ${name} is not what this version expects${place}; are both of one version?`,
  );
}

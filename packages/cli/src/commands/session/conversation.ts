import { ApiError, type Client } from "@raworc/client";
import { type Message, MessageEndData, type MessageError, type Session, type SessionEvent } from "@raworc/contract";
import { CommandFailure, UsageFailure } from "../../failure.ts";

/** What happens between a message and its end. */
export type Turn =
  | { readonly type: "start"; readonly agent: string | null }
  | { readonly type: "text"; readonly text: string }
  | { readonly type: "tool"; readonly phase: "start" | "end"; readonly name: string; readonly detail: string }
  | TurnEnd;

export interface TurnEnd {
  readonly type: "end";
  readonly status: "done" | "failed" | "cancelled";
  readonly reply: Message | null;
  readonly error: MessageError | undefined;
}

export interface OpenOptions {
  readonly space?: string | undefined;
  readonly name?: string | undefined;
  readonly resume?: string | undefined;
  readonly agent?: string | undefined;
  readonly signal: AbortSignal;
}

/** One session, talked to message by message. Follows its event log over broken connections. */
export class Conversation {
  readonly session: Session;
  readonly isNew: boolean;
  readonly #client: Client;
  readonly #agent: string | undefined;
  readonly #closing = new AbortController();
  readonly #events: AsyncGenerator<SessionEvent>;
  #next: Promise<IteratorResult<SessionEvent>> | undefined;

  private constructor(client: Client, session: Session, options: OpenOptions, onOpen: () => void) {
    this.session = session;
    this.isNew = options.resume === undefined;
    this.#client = client;
    this.#agent = options.agent;
    // Of a new session everything is of interest, and after a broken connection nothing is missed.
    const after = this.isNew ? 0 : "latest";
    this.#events = client.events(session.id, { after, signal: this.#closing.signal, onOpen });
  }

  /** Opens a session, or takes up an old one, and resolves when its computer is ready for messages. */
  static async open(client: Client, options: OpenOptions): Promise<Conversation> {
    const session = options.resume === undefined ? await create(client, options) : await resume(client, options.resume);
    const opened = Promise.withResolvers<void>();
    const conversation = new Conversation(client, session, options, opened.resolve);
    try {
      // What is sent from now on is in the stream.
      await Promise.race([opened.promise, conversation.#peek()]);
    } catch (error) {
      await conversation.close();
      throw error;
    }
    return conversation;
  }

  get id(): string {
    return this.session.id;
  }

  /** Names of the agents in this session's build. */
  async agents(): Promise<readonly string[]> {
    const { build_id: buildId, space } = this.session;
    if (buildId === null) return [];
    try {
      return (await this.#client.call("builds.get", { params: { space, build_id: buildId } })).agents_deployed;
    } catch (error) {
      // Who may use a session need not be allowed to see builds.
      if (error instanceof ApiError) return [];
      throw error;
    }
  }

  /** Sends a message and gives what happens up to its end. */
  async *send(content: string): AsyncGenerator<Turn> {
    const body = this.#agent === undefined ? { content } : { content, agent: this.#agent };
    const sent = await this.#client.call("messages.create", { params: { id: this.id }, body });
    const message = "message" in sent ? sent.message : sent;
    for (;;) {
      const event = await this.#take();
      if (event.data["message_id"] !== message.id) continue;
      const turn = turnOf(event);
      if (turn === undefined) continue;
      yield turn;
      if (turn.type === "end") return;
    }
  }

  /** Stops the message that runs. False when none has begun. */
  async cancel(): Promise<boolean> {
    try {
      await this.#client.call("sessions.cancel", { params: { id: this.id } });
      return true;
    } catch (error) {
      if (error instanceof ApiError && error.status === 409) return false;
      throw error;
    }
  }

  current(): Promise<Session> {
    return this.#client.call("sessions.get", { params: { id: this.id } });
  }

  async delete(): Promise<void> {
    try {
      await this.#client.call("sessions.delete", { params: { id: this.id } });
    } catch (error) {
      if (!(error instanceof ApiError && error.status === 404)) throw error;
    }
  }

  async close(): Promise<void> {
    this.#closing.abort();
    await this.#events.return(undefined).catch(() => undefined);
  }

  #peek(): Promise<unknown> {
    this.#next ??= this.#events.next();
    // It is awaited when somebody asks for the event; until then nobody else hears of a failure.
    this.#next.catch(() => undefined);
    return this.#next;
  }

  async #take(): Promise<SessionEvent> {
    const next = this.#next ?? this.#events.next();
    this.#next = undefined;
    const { done, value } = await next;
    if (done === true) throw new CommandFailure("The session's events have ended.");
    return value;
  }
}

async function create(client: Client, options: OpenOptions): Promise<Session> {
  const body = {
    ...(options.space === undefined ? {} : { space: options.space }),
    ...(options.name === undefined ? {} : { name: options.name }),
  };
  // Not cut short by the signal: a session whose id nobody has heard could not be deleted.
  const { id } = await client.call("sessions.create", { body });
  try {
    options.signal.throwIfAborted();
    const session = await untilReady(client, id, options.signal);
    if (session.state !== "error") return session;
    const hints = [session.error ?? "The server does not say why.", "see: raworc doctor, raworc logs server"];
    throw new CommandFailure("The session's computer could not be made.", hints);
  } catch (error) {
    await client.call("sessions.delete", { params: { id } }).catch(() => undefined);
    throw error;
  }
}

/** Follows the session's states until it is no longer being made. */
async function untilReady(client: Client, id: string, signal: AbortSignal): Promise<Session> {
  const stop = new AbortController();
  const read = () => client.call("sessions.get", { params: { id }, signal });
  try {
    for await (const { type } of client.events(id, { signal: AbortSignal.any([signal, stop.signal]) })) {
      if (type !== "session.state") continue;
      const session = await read();
      if (session.state !== "init") return session;
    }
  } finally {
    stop.abort();
  }
  signal.throwIfAborted();
  return read();
}

async function resume(client: Client, id: string): Promise<Session> {
  if (!/^[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}$/i.test(id)) {
    throw new UsageFailure(`${JSON.stringify(id)} is no session id.`, ["raworc get sessions lists them"]);
  }
  const session = await client.call("sessions.get", { params: { id } });
  if (session.state !== "error" && session.state !== "paused") return session;
  return client.call("sessions.resume", { params: { id } });
}

function turnOf({ type, data }: SessionEvent): Turn | undefined {
  if (type === "message.start")
    return { type: "start", agent: typeof data["agent"] === "string" ? data["agent"] : null };
  if (type === "message.delta") return { type: "text", text: String(data["text"] ?? "") };
  if (type === "tool.start" || type === "tool.end") {
    const name = String(data["name"] ?? data["tool"] ?? "tool");
    const detail = data[type === "tool.start" ? "input" : "status"];
    const text = detail === undefined ? "" : typeof detail === "string" ? detail : JSON.stringify(detail);
    return { type: "tool", phase: type === "tool.start" ? "start" : "end", name, detail: text };
  }
  if (type !== "message.end") return undefined;
  const end = MessageEndData.parse(data);
  return { type: "end", status: end.status, reply: end.reply, error: end.error };
}

/** What of a reply was not yet streamed. Undefined when what was streamed is something else than the reply. */
export function unstreamedPart(streamed: string, reply: string): string | undefined {
  if (reply.startsWith(streamed)) return reply.slice(streamed.length);
  return streamed.startsWith(reply) ? "" : undefined;
}

import { inspect } from "node:util";
import { Answer } from "./answer.mjs";
import { Failure } from "./connection.mjs";
import { findFramework, isAsyncIterable } from "./frameworks.mjs";
import { load } from "./handler.mjs";
import { History } from "./history.mjs";

/** Serves the host's requests, one message after the other. */
export class Worker {
  #connection;
  #target;
  #history = new History();
  /** The request at hand; undefined when it was answered. */
  #current;

  constructor(connection) {
    this.#connection = connection;
  }

  serve() {
    process.on("exit", (code) => this.#onExit(code));
    process.on("uncaughtException", (error) => this.#onStray(error));
    process.on("unhandledRejection", (error) => this.#onStray(error));
    this.#connection.listen((line) => {
      if (line.method === "initialize") void this.#initialize(line);
      else if (line.method === "message") void this.#message(line);
      else if (line.method === "cancel") this.#cancel(line.params.message_id);
    });
  }

  async #initialize({ id, params }) {
    this.#current = { id };
    try {
      const target = await load(params.path, params.handler);
      if (typeof target !== "function" && findFramework(target) === undefined) {
        throw new Failure(
          "handler_not_found",
          `The handler ${params.handler} is of type ${typeof target}: it must be a function (message, context) or an object of a framework that Raworc knows.`,
        );
      }
      this.#target = target;
      this.#answer(id, () => this.#connection.respond(id, { keeps_history: true }));
    } catch (error) {
      const { code, text } = describe(error, "agent_start_failed");
      const message = error instanceof Failure ? text : `${params.handler} could not be loaded: ${text}`;
      this.#answer(id, () => this.#connection.refuse(id, code, message));
    }
  }

  async #message({ id, params }) {
    this.#history.complete(params);
    const messageId = params.message_id;
    const cancel = new AbortController();
    const answer = new Answer(this.#connection, messageId);
    this.#current = { id, messageId, cancel };
    let respond = () => this.#connection.respond(id, answer.result());
    try {
      await this.#consume(params, answer, cancel.signal);
    } catch (error) {
      const { code, text } = describe(error, "handler_failed");
      respond = () => this.#connection.refuse(id, code, text);
    }
    if (cancel.signal.aborted) respond = () => this.#connection.refuse(id, "cancelled", "The message was cancelled");
    await this.#connection.flush();
    this.#answer(id, respond);
  }

  /** Drives the handler or the framework's object, and whatever it gives, to its end. */
  async #consume(message, answer, signal) {
    const drive = findFramework(this.#target);
    if (drive !== undefined) return drive(this.#target, message, answer, signal);
    const value = await this.#target(message.content, message.context);
    const driveValue = typeof value === "object" ? findFramework(value) : undefined;
    if (driveValue !== undefined) return driveValue(value, message, answer, signal);
    if (!isAsyncIterable(value) && !isIterator(value)) return answer.finish(value);
    for await (const piece of value) {
      answer.stream(piece);
      if (signal.aborted) return undefined;
    }
    return undefined;
  }

  #cancel(messageId) {
    if (this.#current?.messageId === messageId) this.#current.cancel.abort();
  }

  #answer(id, respond) {
    if (this.#current?.id !== id) return;
    this.#current = undefined;
    respond();
  }

  /** The agent called process.exit, or has nothing left that could go on. */
  #onExit(code) {
    const { id } = this.#current ?? {};
    if (id === undefined) return;
    const text = `The agent ended its own process (exit code ${code}); a handler should return.`;
    this.#answer(id, () => this.#connection.refuse(id, "agent_exited", text));
  }

  /** An error outside of what the handler awaits: the process is in no known state, and ends. */
  #onStray(error) {
    const { code, text } = describe(error, "handler_failed");
    const { id } = this.#current ?? {};
    if (id !== undefined) this.#answer(id, () => this.#connection.refuse(id, code, text));
    process.exit(1);
  }
}

/** Code and text of what the agent threw. Its stack goes to the log. */
function describe(error, otherwise) {
  if (error instanceof Failure) return { code: error.code, text: error.message };
  process.stderr.write(`${inspect(error)}\n`);
  if (error?.code === "ENOSPC" || error?.code === "EDQUOT") {
    return { code: "disk_full", text: `The session's disk is full: ${error.message}` };
  }
  if (!(error instanceof Error)) return { code: otherwise, text: `The agent threw ${String(error)}` };
  return { code: otherwise, text: error.message === "" ? error.name : `${error.name}: ${error.message}` };
}

function isIterator(value) {
  return typeof value === "object" && typeof value?.next === "function" && typeof value[Symbol.iterator] === "function";
}

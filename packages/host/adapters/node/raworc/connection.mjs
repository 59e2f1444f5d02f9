import { writeSync } from "node:fs";
import { Socket } from "node:net";

/** As in worker.ts of the contract. */
const ERRORS = {
  handler_failed: -32000,
  handler_not_found: -32001,
  agent_exited: -32002,
  cancelled: -32003,
  agent_start_failed: -32004,
  disk_full: -32000,
};
/** A piece of so many UTF-16 units has at most 256 KiB of UTF-8. */
export const PIECE_LENGTH = 64 * 1024;
const ERROR_LENGTH = 4000;

/** Why a request can't be answered, in words for the user. `code` is one of FAILURES of the contract. */
export class Failure extends Error {
  constructor(code, message) {
    super(message);
    this.code = code;
  }
}

/** The connection to the host. Writing blocks while the host does not read, so an agent that floods is slowed. */
export class Connection {
  #input;
  #output;

  constructor(input, output) {
    this.#input = new Socket({ fd: input, readable: true, writable: false });
    this.#output = output;
  }

  /** Calls back with each request and notification. When the host is gone, so is all that this process is for. */
  listen(onLine) {
    let rest = [];
    this.#input.on("data", (chunk) => {
      let start = 0;
      for (let end = chunk.indexOf(10); end !== -1; end = chunk.indexOf(10, start)) {
        const line = Buffer.concat([...rest, chunk.subarray(start, end)]).toString("utf8");
        rest = [];
        start = end + 1;
        if (line !== "") onLine(JSON.parse(line));
      }
      if (start < chunk.length) rest.push(chunk.subarray(start));
    });
    this.#input.on("error", () => process.reallyExit(0));
    this.#input.on("close", () => process.reallyExit(0));
  }

  delta(messageId, text) {
    this.#text("delta", messageId, text);
  }

  part(messageId, text) {
    this.#text("part", messageId, text);
  }

  respond(id, result) {
    this.#send({ jsonrpc: "2.0", id, result });
  }

  refuse(id, code, message) {
    const error = { code: ERRORS[code], message: message.slice(0, ERROR_LENGTH), data: { failure: code } };
    this.#send({ jsonrpc: "2.0", id, error });
  }

  /** Resolves when all prints are in their pipes. */
  async flush() {
    for (const stream of [process.stdout, process.stderr]) if (stream.writableLength > 0) await flushed(stream);
  }

  #text(method, messageId, text) {
    for (let start = 0; start < text.length; ) {
      let end = Math.min(start + PIECE_LENGTH, text.length);
      // Both halves of a character stay together.
      if (end < text.length && (text.charCodeAt(end - 1) & 0xfc00) === 0xd800) end -= 1;
      this.#send({ jsonrpc: "2.0", method, params: { message_id: messageId, text: text.slice(start, end) } });
      start = end;
    }
  }

  #send(message) {
    const bytes = Buffer.from(`${JSON.stringify(message)}\n`);
    for (let sent = 0; sent < bytes.length; ) {
      try {
        sent += writeSync(this.#output, bytes, sent);
      } catch (error) {
        if (error.code !== "EAGAIN") throw error;
      }
    }
  }
}

function flushed(stream) {
  return new Promise((resolve) => {
    if (!stream.writable) resolve();
    else stream.write("", () => resolve());
  });
}

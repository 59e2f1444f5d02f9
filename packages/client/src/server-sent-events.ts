export interface ServerSentEvent {
  /** The last id that the stream has named, with this event or before it; empty when none was. */
  readonly id: string;
  readonly type: string;
  readonly data: string;
}

/** Characters of one event. The largest honest one is a reply of 4 MiB, escaped. */
const EVENT_MAX_CHARACTERS = 64 * 1024 * 1024;
const LINE_BREAK = /\r\n|\r|\n/g;

/** Parses a stream of server-sent events as it comes, in whatever pieces. */
export class ServerSentEventParser {
  /** What to resume after. A block with nothing but an id sets it without being an event. */
  lastEventId = "";
  #decoder = new TextDecoder();
  #pieces: string[] = [];
  #size = 0;
  #afterCarriageReturn = false;
  #id = "";
  #type = "";
  #data: string[] = [];

  /** The events that end in this chunk. Throws when an event is larger than any honest one. */
  push(chunk: Uint8Array): ServerSentEvent[] {
    let text = this.#decoder.decode(chunk, { stream: true });
    if (text === "") return [];
    // A line break of two characters may lie on the border of two chunks.
    if (this.#afterCarriageReturn && text.startsWith("\n")) text = text.slice(1);
    this.#afterCarriageReturn = text.endsWith("\r");
    const events: ServerSentEvent[] = [];
    let start = 0;
    for (const found of text.matchAll(LINE_BREAK)) {
      this.#pieces.push(text.slice(start, found.index));
      start = found.index + found[0].length;
      const line = this.#pieces.join("");
      this.#pieces = [];
      const event = this.#take(line);
      if (event !== undefined) events.push(event);
    }
    const rest = text.slice(start);
    this.#pieces.push(rest);
    this.#grow(rest.length);
    return events;
  }

  #grow(characters: number): void {
    this.#size += characters;
    if (this.#size > EVENT_MAX_CHARACTERS) throw new Error("An event of the stream is too large");
  }

  #take(line: string): ServerSentEvent | undefined {
    if (line === "") return this.#dispatch();
    if (line.startsWith(":")) return undefined;
    const colon = line.indexOf(":");
    const field = colon === -1 ? line : line.slice(0, colon);
    const value = colon === -1 ? "" : line.slice(line[colon + 1] === " " ? colon + 2 : colon + 1);
    if (field === "data") {
      this.#grow(value.length);
      this.#data.push(value);
    } else if (field === "event") this.#type = value;
    else if (field === "id" && !value.includes("\0")) this.#id = value;
    return undefined;
  }

  #dispatch(): ServerSentEvent | undefined {
    this.lastEventId = this.#id;
    const type = this.#type === "" ? "message" : this.#type;
    const data = this.#data;
    this.#type = "";
    this.#data = [];
    this.#size = 0;
    return data.length === 0 ? undefined : { id: this.#id, type, data: data.join("\n") };
  }
}

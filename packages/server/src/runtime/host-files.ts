import type { IncomingHttpHeaders, IncomingMessage } from "node:http";
import type { Readable } from "node:stream";
import { FileEntry, type FileReach, HostFileList } from "@raworc/contract";
import { DriverError } from "./driver.ts";
import type { HostConnection } from "./host-connection.ts";

/** A thousand names of 255 characters, each of which JSON may write as six bytes. */
const LIST_MAX_BYTES = 4 * 1024 * 1024;

export interface FilePlace {
  /** Absolute inside the computer, without empty parts and parts of dots. */
  readonly path: string;
  readonly reach: FileReach;
}

/** A file's bytes, or what there is to say in their place. */
export interface FileContent {
  readonly status: 200 | 206 | 304;
  readonly headers: Readonly<Record<string, string>>;
  readonly body: IncomingMessage;
}

const PASSED_HEADERS = {
  "content-length": /^\d{1,16}$/,
  "content-range": /^bytes \d{1,16}-\d{1,16}\/\d{1,16}$/,
  etag: /^"[a-z0-9-]{1,64}"$/,
  "last-modified": /^[A-Za-z0-9 ,:]{1,40}$/,
} as const;
/** What a caller may ask by about a file that there is. */
const CONDITIONS = ["if-match", "if-none-match", "if-range", "range"] as const;

/** Files of one computer. What can't be done is told as a RaworcError. */
export class HostFiles {
  readonly #connection: HostConnection;

  constructor(connection: HostConnection) {
    this.#connection = connection;
  }

  /** The body must be read or destroyed. */
  async read(
    place: FilePlace,
    asked: { readonly headers: IncomingHttpHeaders; readonly method: "GET" | "HEAD"; readonly signal: AbortSignal },
  ): Promise<FileContent> {
    const { headers, method, signal } = asked;
    const path = pathOf("/files", place);
    const body = await this.#connection.open({ method, path, headers: conditions(headers), signal });
    const status = body.statusCode;
    const passed = Object.entries(PASSED_HEADERS).flatMap(([name, pattern]) => {
      const value = body.headers[name];
      return typeof value === "string" && pattern.test(value) ? [[name, value] as const] : [];
    });
    const isWhole = status === 304 || body.headers["content-length"] !== undefined;
    if ((status === 200 || status === 206 || status === 304) && isWhole) {
      return { status, headers: Object.fromEntries(passed), body };
    }
    body.destroy();
    throw new DriverError("The session's host answered nonsense about a file.", { transient: true });
  }

  stat(place: FilePlace, signal: AbortSignal): Promise<FileEntry> {
    return this.#connection.json({ method: "GET", path: pathOf("/files", place, { stat: "true" }), signal }, FileEntry);
  }

  list(place: FilePlace, page: { readonly limit: number; readonly after: string }, signal: AbortSignal) {
    const path = pathOf("/files", place, { list: "true", limit: String(page.limit), after: page.after });
    return this.#connection.json({ method: "GET", path, signal }, HostFileList, LIST_MAX_BYTES);
  }

  /** Sends bytes until the stream ends; when it breaks off, the file stays as it was. */
  async write(
    place: FilePlace,
    content: Readable,
    headers: IncomingHttpHeaders,
    signal: AbortSignal,
  ): Promise<{ readonly entry: FileEntry; readonly created: boolean; readonly etag: string | undefined }> {
    const length = headers["content-length"];
    const sent = { ...conditions(headers), ...(length === undefined ? {} : { "content-length": length }) };
    const path = pathOf("/files", place);
    const answer = await this.#connection.open({ method: "PUT", path, headers: sent, stream: content, signal });
    const entry = await this.#connection.readJson(answer, FileEntry, signal);
    const { etag } = answer.headers;
    const isTag = etag !== undefined && PASSED_HEADERS.etag.test(etag);
    return { entry, created: answer.statusCode === 201, etag: isTag ? etag : undefined };
  }

  async remove(place: FilePlace, recursive: boolean, headers: IncomingHttpHeaders, signal: AbortSignal): Promise<void> {
    const path = pathOf("/files", place, { recursive: String(recursive) });
    const answer = await this.#connection.open({ method: "DELETE", path, headers: conditions(headers), signal });
    answer.resume();
  }

  move({ path: from, reach }: FilePlace, to: string, signal: AbortSignal): Promise<FileEntry> {
    const path = `/moves?${new URLSearchParams({ path: from, to, reach })}`;
    return this.#connection.json({ method: "POST", path, signal }, FileEntry);
  }
}

function pathOf(noun: string, { path, reach }: FilePlace, query: Readonly<Record<string, string>> = {}): string {
  const text = new URLSearchParams({ path, reach, ...query }).toString();
  return `${noun}?${text}`;
}

function conditions(headers: IncomingHttpHeaders): Record<string, string> {
  return Object.fromEntries(
    CONDITIONS.flatMap((name) => {
      const value = headers[name];
      return typeof value === "string" ? [[name, value] as const] : [];
    }),
  );
}

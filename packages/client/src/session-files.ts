import { FileEntry } from "@raworc/contract";
import { z } from "zod";
import type { RequestOptions } from "./call.ts";
import type { Client } from "./client.ts";

export type FileContent = string | Uint8Array | ReadableStream<Uint8Array>;

/** Files of one session's computer. Paths are relative to `/session`, or absolute. */
export class SessionFiles {
  readonly #client: Client;
  readonly #id: string;

  constructor(client: Client, sessionId: string) {
    this.#client = client;
    this.#id = sessionId;
  }

  /** The file's content as it comes: the body of the answer. A header Range asks for a part. */
  read(path: string, options: RequestOptions = {}): Promise<Response> {
    return this.#client.open("files.get", { ...options, params: this.#params(path) });
  }

  /** Writes a file, as a whole or not at all. */
  async write(path: string, content: FileContent, options: RequestOptions = {}): Promise<FileEntry> {
    return FileEntry.parse(
      await this.#client.request("files.put", { ...options, params: this.#params(path), body: content }),
    );
  }

  /** What is there; a link stands for what it leads to. */
  async stat(path: string, options: RequestOptions = {}): Promise<FileEntry> {
    const query = { stat: true };
    return FileEntry.parse(await this.#client.request("files.get", { ...options, params: this.#params(path), query }));
  }

  /** All entries of a folder, in the order of their names. */
  async *list(path: string, options: RequestOptions = {}): AsyncGenerator<FileEntry> {
    let cursor: string | undefined;
    do {
      const query = { list: true, limit: 1000, cursor };
      const page = await this.#client.page("files.get", { ...options, params: this.#params(path), query });
      yield* z.array(FileEntry).parse(page.items);
      cursor = page.cursor;
    } while (cursor !== undefined);
  }

  async remove(path: string, options: RequestOptions & { readonly recursive?: boolean } = {}): Promise<void> {
    const { recursive = false, ...rest } = options;
    await this.#client.request("files.delete", { ...rest, params: this.#params(path), query: { recursive } });
  }

  async move(from: string, to: string, options: RequestOptions = {}): Promise<FileEntry> {
    const query = { move_to: to };
    return FileEntry.parse(await this.#client.request("files.move", { ...options, params: this.#params(from), query }));
  }

  #params(path: string) {
    return { id: this.#id, "*": path };
  }
}

import type { FileReach } from "@raworc/contract";
import type { AgentProcesses } from "./agent-process.ts";
import { AgentRights } from "./agent-rights.ts";
import type { Config } from "./config.ts";
import { deleteFile, deleteFolder, moveFile } from "./files-change.ts";
import { describeFile } from "./files-entry.ts";
import { explained } from "./files-fault.ts";
import { listFolder } from "./files-list.ts";
import { withPlace } from "./files-place.ts";
import { sendFile } from "./files-read.ts";
import { UnfinishedUploads } from "./files-unfinished.ts";
import { receiveFile, removeDraft } from "./files-upload.ts";
import { LISTED_MAX } from "./limits.ts";
import { RequestError } from "./requests.ts";
import { type Call, type Handler, sendEmpty, sendJson } from "./server.ts";

/** Files of the computer for the API: everything with the agent's rights, and never the host's own. */
export class Files {
  readonly #rights: AgentRights;
  readonly #processes: AgentProcesses;
  readonly #unfinished = new UnfinishedUploads();

  constructor(config: Config, processes: AgentProcesses) {
    this.#rights = new AgentRights(config);
    this.#processes = processes;
  }

  get routes(): Record<string, Handler> {
    return {
      "GET /files": (call) => this.#read(call),
      "HEAD /files": (call) => this.#read(call),
      "PUT /files": (call) => this.#write(call),
      "DELETE /files": (call) => this.#delete(call),
      "POST /moves": (call) => this.#move(call),
    };
  }

  /** Removes what an earlier host could not. */
  begin(): void {
    for (const path of this.#unfinished.takeLeft()) removeDraft(this.#rights, path);
  }

  async #read({ request, response, url }: Call): Promise<void> {
    const { path, reach } = readPlace(url);
    const query = url.searchParams;
    if (query.get("list") === "true") {
      const page = { limit: readLimit(query.get("limit")), after: query.get("after") ?? "" };
      sendJson(response, await listFolder(this.#rights, path, reach, page));
    } else if (query.get("stat") === "true") {
      const describe = () =>
        withPlace(path, reach, (place) => describeFile(path.slice(path.lastIndexOf("/") + 1), place.stat()));
      sendJson(
        response,
        explained(path, () => this.#rights.act(describe)),
      );
    } else {
      sendFile(this.#rights, path, reach, request, response);
    }
  }

  async #write({ request, response, url }: Call): Promise<void> {
    const { path, reach } = readPlace(url);
    const { created, entry, etag } = await receiveFile(this.#rights, this.#unfinished, path, reach, request);
    response.setHeader("etag", etag);
    sendJson(response, entry, created ? 201 : 200);
  }

  async #delete({ request, response, url }: Call): Promise<void> {
    const { path, reach } = readPlace(url);
    const recursive = url.searchParams.get("recursive") === "true";
    const found = deleteFile(this.#rights, path, reach, request);
    if (found !== undefined) {
      if (!recursive) {
        throw new RequestError(422, "not_a_file", `${found.folder} is a folder; ?recursive=true deletes all of it.`);
      }
      await deleteFolder(this.#processes, found.folder, response);
    }
    sendEmpty(response, 204);
  }

  #move({ response, url }: Call): void {
    const { path, reach } = readPlace(url);
    sendJson(response, moveFile(this.#rights, path, readPath(url, "to"), reach));
  }
}

function readPlace(url: URL): { readonly path: string; readonly reach: FileReach } {
  const reach = url.searchParams.get("reach");
  if (reach !== "session" && reach !== "any") throw new RequestError(422, "validation_failed", "reach must be given");
  return { path: readPath(url, "path"), reach };
}

/** Absolute, without empty parts and parts of dots. */
function readPath(url: URL, name: string): string {
  const path = url.searchParams.get(name) ?? "";
  const parts = path.split("/").slice(1);
  const isPlain = parts.every((part) => part !== "" && part !== "." && part !== "..");
  if (path === "/" || (path.startsWith("/") && isPlain && !path.includes("\0"))) return path;
  throw new RequestError(422, "validation_failed", `${name} must be a plain absolute path`);
}

function readLimit(text: string | null): number {
  const limit = Number(text ?? LISTED_MAX);
  if (Number.isInteger(limit) && limit > 0 && limit <= LISTED_MAX) return limit;
  throw new RequestError(422, "validation_failed", `limit must be a whole number up to ${LISTED_MAX}`);
}

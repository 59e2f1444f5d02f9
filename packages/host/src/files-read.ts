import { type BigIntStats, closeSync, constants, fstatSync, openSync, read as readCallback } from "node:fs";
import { promisify } from "node:util";
import type { FileReach } from "@raworc/contract";
import type { AgentRights } from "./agent-rights.ts";
import { etagOf, namesTag } from "./files-entry.ts";
import { explained } from "./files-fault.ts";
import { withPlace } from "./files-place.ts";
import type { HttpRequest } from "./http-request.ts";
import type { HttpResponse } from "./http-response.ts";
import { RequestError } from "./requests.ts";

const PIECE_BYTES = 256 * 1024;

const read = promisify(readCallback);

interface Range {
  readonly start: number;
  /** The last byte. */
  readonly end: number;
}

interface OpenFile {
  readonly descriptor: number;
  readonly stat: BigIntStats;
}

/** The bytes of a file, or those that Range names: as many as it had when it was opened, whatever is written meanwhile. */
export function sendFile(
  rights: AgentRights,
  path: string,
  reach: FileReach,
  request: HttpRequest,
  response: HttpResponse,
): void {
  const { descriptor, stat } = explained(path, () => rights.act(() => openForReading(path, reach)));
  let streams = false;
  try {
    streams = answer(descriptor, stat, request, response);
  } finally {
    if (!streams) closeSync(descriptor);
  }
}

function openForReading(path: string, reach: FileReach): OpenFile {
  return withPlace(path, reach, (place) => {
    const found = place.stat();
    if (!found.isFile()) {
      const what = found.isDirectory() ? "a folder; ?list=true lists it" : "a device, a pipe or a socket";
      throw new RequestError(422, "not_a_file", `${place.path} is no file but ${what}.`);
    }
    const descriptor = openSync(place.self, constants.O_RDONLY | constants.O_NONBLOCK | constants.O_NOCTTY);
    return { descriptor, stat: fstatSync(descriptor, { bigint: true }) };
  });
}

/** Whether the descriptor is now the answer's to close. */
function answer(descriptor: number, stat: BigIntStats, request: HttpRequest, response: HttpResponse): boolean {
  const etag = etagOf(stat);
  const size = Number(stat.size);
  response.setHeader("etag", etag);
  response.setHeader("last-modified", new Date(Number(stat.mtimeMs)).toUTCString());
  response.setHeader("accept-ranges", "bytes");
  if (namesTag(request.headers["if-none-match"], etag)) {
    response.writeHead(304).end();
    return false;
  }
  const ifRange = request.headers["if-range"];
  const isSame = ifRange === undefined || ifRange === etag;
  const range = isSame ? readRange(request.headers["range"], size) : undefined;
  if (range === "outside") {
    response.setHeader("content-range", `bytes */${size}`);
    throw new RequestError(416, "range_not_satisfiable", `The file has ${size} bytes; the range begins behind them.`);
  }
  const { start, end } = range ?? { start: 0, end: size - 1 };
  response.setHeader("content-length", end - start + 1);
  if (range !== undefined) response.setHeader("content-range", `bytes ${start}-${end}/${size}`);
  response.writeHead(range === undefined ? 200 : 206);
  if (request.method === "HEAD" || end < start) {
    response.end();
    return false;
  }
  // A file that has become shorter breaks off: the length that was told is not reached.
  sendBytes(descriptor, { start, end }, response)
    .catch(() => response.destroy())
    .finally(() => closeSync(descriptor));
  return true;
}

/** Two buffers take turns, whatever the file's length: one is read into while the other is sent. */
async function sendBytes(descriptor: number, { start, end }: Range, response: HttpResponse): Promise<void> {
  const buffers = [Buffer.allocUnsafeSlow(PIECE_BYTES), Buffer.allocUnsafeSlow(PIECE_BYTES)] as const;
  const closed = new Promise<void>((resolve) => response.once("close", resolve));
  let sent = Promise.resolve();
  for (let position = start, turn = 0; position <= end; turn += 1) {
    const buffer = buffers[turn % 2 === 0 ? 0 : 1];
    const { bytesRead } = await read(descriptor, buffer, 0, Math.min(PIECE_BYTES, end + 1 - position), position);
    if (bytesRead === 0) throw new Error("The file has become shorter");
    await sent;
    if (response.destroyed) return;
    const taken = new Promise<void>((resolve) => response.write(buffer.subarray(0, bytesRead), () => resolve()));
    sent = Promise.race([taken, closed]);
    position += bytesRead;
  }
  await sent;
  response.end();
}

/** One range of bytes; undefined where the whole is meant: no range, several, or what is none. */
function readRange(header: string | undefined, size: number): Range | "outside" | undefined {
  const [, first = "", last = ""] = /^bytes=(\d{0,15})-(\d{0,15})$/.exec(header?.trim() ?? "") ?? [];
  if (first === "" && last === "") return undefined;
  if (first === "") {
    const count = Math.min(Number(last), size);
    return count === 0 ? "outside" : { start: size - count, end: size - 1 };
  }
  const start = Number(first);
  if (start >= size) return "outside";
  const end = last === "" ? size - 1 : Math.min(Number(last), size - 1);
  return end < start ? undefined : { start, end };
}

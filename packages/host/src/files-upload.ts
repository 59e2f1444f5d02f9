import {
  closeSync,
  constants,
  fchmodSync,
  fstatSync,
  lstatSync,
  openSync,
  renameSync,
  rmSync,
  statfsSync,
  statSync,
  unlinkSync,
  write as writeCallback,
} from "node:fs";
import { basename, dirname } from "node:path/posix";
import { promisify } from "node:util";
import type { FileEntry, FileReach } from "@raworc/contract";
import type { AgentRights } from "./agent-rights.ts";
import { DiskFullError, errorCode } from "./disk-full.ts";
import { describeFile, etagOf, namesTag } from "./files-entry.ts";
import { explained, fileFault } from "./files-fault.ts";
import { Place, splitPath, withPlace } from "./files-place.ts";
import type { UnfinishedUploads } from "./files-unfinished.ts";
import { collectGarbage } from "./garbage.ts";
import type { HttpRequest } from "./http-request.ts";
import { randomName } from "./random-name.ts";
import { RequestError } from "./requests.ts";

const write = promisify(writeCallback);
const NEW_FILE_MODE = 0o644;
const TIDY_EVERY_BYTES = 8 * 1024 * 1024;

export interface Upload {
  readonly entry: FileEntry;
  readonly etag: string;
  readonly created: boolean;
}

interface Draft {
  readonly folder: Place;
  readonly name: string;
  readonly draftName: string;
  readonly descriptor: number;
  readonly mode: number;
  readonly created: boolean;
}

/**
 * Writes a file: into a draft beside it, which takes its place when all has come. Readers see the old one or the new one.
 * What broke off leaves nothing behind.
 */
export async function receiveFile(
  rights: AgentRights,
  unfinished: UnfinishedUploads,
  path: string,
  reach: FileReach,
  request: HttpRequest,
): Promise<Upload> {
  const draft = explained(path, () => rights.act(() => begin(path, reach, request)));
  try {
    let record: string | undefined;
    try {
      record = unfinished.note(`${draft.folder.path}/${draft.draftName}`);
      let untidied = 0;
      for await (const piece of request.pieces()) {
        await writeAll(draft.descriptor, piece);
        untidied += piece.length;
        if (untidied < TIDY_EVERY_BYTES) continue;
        // Each piece is a buffer of its own; left to itself, Node.js would collect a hundred mebibytes of them.
        collectGarbage({ type: "minor", execution: "sync" });
        untidied = 0;
      }
      return explained(path, () => rights.act(() => complete(draft, request)));
    } catch (error) {
      rights.act(() => rmSync(draft.folder.at(draft.draftName), { force: true }));
      throw fileFault(error, path);
    } finally {
      if (record !== undefined) unfinished.forget(record);
    }
  } finally {
    closeSync(draft.descriptor);
    draft.folder.close();
  }
}

function begin(path: string, reach: FileReach, request: HttpRequest): Draft {
  const { folder, name } = openTarget(path, reach);
  try {
    const before = statSync(folder.at(name), { throwIfNoEntry: false });
    if (before !== undefined && !before.isFile()) {
      throw new RequestError(422, "not_a_file", `${folder.path}/${name} is no file, so it can't be written.`);
    }
    checkConditions(folder, name, request);
    const length = Number(request.headers["content-length"] ?? 0);
    const { bavail, bsize } = statfsSync(folder.self);
    if (length > bavail * bsize) throw new DiskFullError(new Error(`${length} bytes were announced`));
    const draftName = `.raworc-upload-${randomName()}`;
    const flags = constants.O_CREAT | constants.O_EXCL | constants.O_WRONLY | constants.O_NOFOLLOW;
    const descriptor = openSync(folder.at(draftName), flags, 0o600);
    const mode = (before?.mode ?? NEW_FILE_MODE) & 0o777;
    return { folder, name, draftName, descriptor, mode, created: before === undefined };
  } catch (error) {
    folder.close();
    throw error;
  }
}

/** The folder and name to write to. A link that leads to a file stands for that file; one that leads nowhere is replaced. */
function openTarget(path: string, reach: FileReach): { readonly folder: Place; readonly name: string } {
  const { folder: parent, name } = splitPath(path);
  const folder = Place.ensureFolder(parent, reach);
  try {
    if (!lstatSync(folder.at(name), { throwIfNoEntry: false })?.isSymbolicLink()) return { folder, name };
    const target = readTarget(folder.at(name), reach);
    if (target === undefined) return { folder, name };
    const place = Place.open(dirname(target), reach, "folder");
    folder.close();
    return { folder: place, name: basename(target) };
  } catch (error) {
    folder.close();
    throw error;
  }
}

function readTarget(link: string, reach: FileReach): string | undefined {
  try {
    return withPlace(link, reach, ({ path }) => path);
  } catch (error) {
    if (errorCode(error) === "ENOENT") return undefined;
    throw error;
  }
}

/** Throws `precondition_failed` unless the file is what If-Match names, and not what If-None-Match names. */
export function checkConditions(folder: Place, name: string, { headers }: Pick<HttpRequest, "headers">): void {
  const ifMatch = headers["if-match"];
  const ifNoneMatch = headers["if-none-match"];
  if (ifMatch === undefined && ifNoneMatch === undefined) return;
  const stat = statSync(folder.at(name), { bigint: true, throwIfNoEntry: false });
  const tag = stat === undefined ? undefined : etagOf(stat);
  const holds = ifMatch === undefined || (tag !== undefined && namesTag(ifMatch, tag));
  if (holds && (tag === undefined || !namesTag(ifNoneMatch, tag))) return;
  const what = tag === undefined ? "There is no such file" : "The file is another one by now";
  throw new RequestError(412, "precondition_failed", `${what}: get it again, and decide anew.`);
}

async function writeAll(descriptor: number, piece: Buffer): Promise<void> {
  for (let start = 0; start < piece.length; ) {
    const { bytesWritten } = await write(descriptor, piece, start, piece.length - start, null);
    start += bytesWritten;
  }
}

function complete({ folder, name, draftName, descriptor, mode, created }: Draft, request: HttpRequest): Upload {
  fchmodSync(descriptor, mode);
  checkConditions(folder, name, request);
  renameSync(folder.at(draftName), folder.at(name));
  const etag = etagOf(fstatSync(descriptor, { bigint: true }));
  return { entry: describeFile(name, fstatSync(descriptor)), etag, created };
}

/** Takes away a draft that an earlier host could not finish. */
export function removeDraft(rights: AgentRights, path: string): void {
  try {
    rights.act(() => unlinkSync(path));
  } catch {
    // It is gone, or in a place where nothing can be done about it.
  }
}

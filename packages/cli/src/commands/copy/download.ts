import { randomUUID } from "node:crypto";
import { createWriteStream } from "node:fs";
import { mkdir, rename, rm, stat } from "node:fs/promises";
import { join } from "node:path";
import { Readable } from "node:stream";
import { pipeline } from "node:stream/promises";
import { AnswerError, type Client, type SessionFiles } from "@raworc/client";
import type { Context } from "../../context.ts";
import { cleanLine } from "../../terminal-text.ts";
import { below, type RemotePath } from "./remote-path.ts";

/** Copies out of a session, and gives how many files. */
export async function download(context: Context, client: Client, from: RemotePath, target: string): Promise<number> {
  const files = client.files(from.session);
  if (target === "-") {
    await pipeline(await contentOf(files, from.path), context.streams.out.stream, { end: false });
    return 1;
  }
  const found = await files.stat(from.path);
  const into = target.endsWith("/") || (await isFolder(target));
  const place = into ? join(target, plainName(found.name)) : target;
  if (found.type !== "directory") {
    await receive(files, from.path, place);
    return 1;
  }
  return receiveFolder(context, files, from.path, place);
}

async function receiveFolder(context: Context, files: SessionFiles, path: string, place: string): Promise<number> {
  await mkdir(place, { recursive: true });
  let count = 0;
  for await (const { name, type } of files.list(path)) {
    const inside = join(place, plainName(name));
    const remote = below(path, name);
    if (type === "directory") count += await receiveFolder(context, files, remote, inside);
    else if (type === "file") {
      await receive(files, remote, inside);
      count += 1;
    } else context.streams.err.line(`Left out, it is no file: ${cleanLine(remote)}`);
  }
  return count;
}

/** A name comes from the session: it must not lead anywhere else on this machine. */
function plainName(name: string): string {
  if (name !== "" && name !== "." && name !== ".." && !/[/\\\0]/.test(name)) return name;
  throw new AnswerError(`The session has a file with a name that no file has: ${JSON.stringify(name)}`);
}

/** What is there is replaced when all has come. */
async function receive(files: SessionFiles, path: string, place: string): Promise<void> {
  const draft = `${place}.${randomUUID()}.part`;
  try {
    await pipeline(await contentOf(files, path), createWriteStream(draft, { flags: "wx" }));
    await rename(draft, place);
  } catch (error) {
    await rm(draft, { force: true });
    throw error;
  }
}

async function contentOf(files: SessionFiles, path: string): Promise<Readable> {
  const { body } = await files.read(path);
  return body === null ? Readable.from([]) : Readable.fromWeb(body as import("node:stream/web").ReadableStream);
}

async function isFolder(path: string): Promise<boolean> {
  return (await stat(path).catch(() => undefined))?.isDirectory() === true;
}

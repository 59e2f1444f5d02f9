import { createReadStream } from "node:fs";
import { readdir, stat } from "node:fs/promises";
import { basename, join, relative, resolve } from "node:path";
import { Readable } from "node:stream";
import { ApiError, type Client, type SessionFiles } from "@raworc/client";
import type { Context } from "../../context.ts";
import { CommandFailure } from "../../failure.ts";
import { below, type RemotePath } from "./remote-path.ts";

/** Copies into a session, and gives how many files. */
export async function upload(context: Context, client: Client, source: string, to: RemotePath): Promise<number> {
  const files = client.files(to.session);
  if (source === "-") {
    await files.write(to.path, toWeb(context.streams.stdin));
    return 1;
  }
  const found = await statLocal(source);
  const goesInto = to.path === "" || to.path.endsWith("/") || (await isFolder(files, to.path));
  const target = goesInto ? below(to.path, basename(resolve(source))) : to.path;
  if (!found.isDirectory()) {
    await send(files, source, target);
    return 1;
  }
  let count = 0;
  for (const entry of await readdir(source, { recursive: true, withFileTypes: true })) {
    const path = join(entry.parentPath, entry.name);
    if (entry.isFile()) {
      await send(files, path, below(target, relative(source, path)));
      count += 1;
    } else if (!entry.isDirectory()) context.streams.err.line(`Left out, it is no file: ${path}`);
  }
  return count;
}

async function send(files: SessionFiles, path: string, target: string): Promise<void> {
  const { size } = await statLocal(path);
  const content = toWeb(createReadStream(path));
  await files.write(target, content, { headers: { "content-length": String(size) } });
}

async function statLocal(path: string) {
  try {
    return await stat(path);
  } catch (error) {
    throw new CommandFailure(`${path} can't be read (${(error as NodeJS.ErrnoException).code}).`);
  }
}

async function isFolder(files: SessionFiles, path: string): Promise<boolean> {
  try {
    return (await files.stat(path)).type === "directory";
  } catch (error) {
    if (error instanceof ApiError && error.status === 404 && error.code === "not_found") return false;
    throw error;
  }
}

function toWeb(stream: Readable): ReadableStream<Uint8Array> {
  return Readable.toWeb(stream) as ReadableStream<Uint8Array>;
}

import { lstatSync, renameSync, unlinkSync } from "node:fs";
import type { FileEntry, FileReach } from "@raworc/contract";
import type { AgentProcesses } from "./agent-process.ts";
import type { AgentRights } from "./agent-rights.ts";
import { describeFile } from "./files-entry.ts";
import { explained } from "./files-fault.ts";
import { assertReach, Place, splitPath } from "./files-place.ts";
import { checkConditions } from "./files-upload.ts";
import type { HttpRequest } from "./http-request.ts";
import type { HttpResponse } from "./http-response.ts";
import { RequestError } from "./requests.ts";
import { settle } from "./settle.ts";

const COMPLAINT_MAX = 1000;

/** Moves a file, folder or link. What lies at the new place is replaced, unless it is a folder with files. */
export function moveFile(rights: AgentRights, from: string, to: string, reach: FileReach): FileEntry {
  return explained(from, () =>
    rights.act(() => {
      const source = openParent(from, reach, (folder) => Place.open(folder, reach, "folder"));
      try {
        lstatSync(source.folder.at(source.name));
        const target = openParent(to, reach, (folder) => Place.ensureFolder(folder, reach));
        try {
          renameSync(source.folder.at(source.name), target.folder.at(target.name));
          return describeFile(target.name, lstatSync(target.folder.at(target.name)));
        } finally {
          target.folder.close();
        }
      } finally {
        source.folder.close();
      }
    }),
  );
}

/** Deletes a file or a link, which is never followed. Gives the real path of a folder instead: that takes longer. */
export function deleteFile(
  rights: AgentRights,
  path: string,
  reach: FileReach,
  request: HttpRequest,
): { readonly folder: string } | undefined {
  return explained(path, () =>
    rights.act(() => {
      const { folder, name } = openParent(path, reach, (parent) => Place.open(parent, reach, "folder"));
      try {
        const isFolder = lstatSync(folder.at(name)).isDirectory();
        if (isFolder) return { folder: `${folder.path}/${name}` };
        checkConditions(folder, name, request);
        unlinkSync(folder.at(name));
        return undefined;
      } finally {
        folder.close();
      }
    }),
  );
}

function openParent(path: string, reach: FileReach, open: (folder: string) => Place): { folder: Place; name: string } {
  const { folder: parent, name } = splitPath(path);
  const folder = open(parent);
  try {
    // What the path names may be the system's, also where its folder is not.
    assertReach(`${folder.path === "/" ? "" : folder.path}/${name}`, reach);
    return { folder, name };
  } catch (error) {
    folder.close();
    throw error;
  }
}

/**
 * Deletes a folder with all that is in it, as a program of the agent: it takes as long as it takes, needs no memory of the
 * host, and follows no link.
 */
export async function deleteFolder(processes: AgentProcesses, folder: string, response: HttpResponse): Promise<void> {
  const started = await processes.start({
    words: ["rm", "-rf", "--one-file-system", "--", folder],
    cwd: "/",
    environment: { PATH: "/usr/local/bin:/usr/bin:/bin", LANG: "C.UTF-8" },
    descriptors: ["ignore", "ignore", "output"],
  });
  const { child } = started;
  const abandon = (): void => void started.killTree();
  response.once("close", abandon);
  const ended = new Promise<number | null>((resolve, reject) => {
    child.once("exit", resolve);
    child.once("error", reject);
  });
  let complaint = "";
  started.output(2).on("data", (piece: Buffer) => {
    if (complaint.length < COMPLAINT_MAX) complaint += piece.toString();
  });
  try {
    if ((await ended) === 0) return;
  } catch (error) {
    throw new RequestError(503, "not_ready", `No process could be started (${String(error)}): are there too many?`);
  } finally {
    response.off("close", abandon);
  }
  await settle(started.output(2));
  const [first = ""] = complaint.split("\n", 1);
  throw new RequestError(403, "forbidden", `Not all of ${folder} could be deleted: ${first || "it was interrupted"}`);
}

import { type Dir, lstatSync, opendirSync } from "node:fs";
import { setImmediate as nextTurn } from "node:timers/promises";
import type { FileEntry, FileReach, HostFileList } from "@raworc/contract";
import type { AgentRights } from "./agent-rights.ts";
import { errorCode } from "./disk-full.ts";
import { describeFile } from "./files-entry.ts";
import { explained } from "./files-fault.ts";
import { isHidden, Place } from "./files-place.ts";
import { RequestError } from "./requests.ts";

/** Entries read, or looked at, before others get their turn. */
const TURN = 500;
/** As often as the page that is kept sorted may grow by itself. */
const SLACK = 4;

export interface Page {
  readonly limit: number;
  /** Names after this one. */
  readonly after: string;
}

/**
 * A page of a folder in the order of the names. However large the folder is, only some pages of names are kept: it is read
 * as a whole for each page.
 */
export async function listFolder(
  rights: AgentRights,
  path: string,
  reach: FileReach,
  page: Page,
): Promise<HostFileList> {
  const { directory, place } = explained(path, () => rights.act(() => openFolder(path, reach)));
  try {
    const first = await firstNames(directory, place.path, page);
    const names = first.slice(0, page.limit);
    const entries: FileEntry[] = [];
    for (let start = 0; start < names.length; start += TURN) {
      const some = names.slice(start, start + TURN);
      entries.push(...explained(path, () => rights.act(() => some.flatMap((name) => describeIn(place, name)))));
      await nextTurn();
    }
    return { entries, more: first.length > page.limit };
  } finally {
    directory.closeSync();
    place.close();
  }
}

function openFolder(path: string, reach: FileReach): { directory: Dir; place: Place } {
  const place = Place.open(path, reach);
  try {
    if (!place.stat().isDirectory()) throw new RequestError(422, "not_a_file", `${place.path} is no folder.`);
    return { directory: opendirSync(place.self, { bufferSize: TURN }), place };
  } catch (error) {
    place.close();
    throw error;
  }
}

/** The page's names, and one more where there is one. */
async function firstNames(directory: Dir, path: string, { after, limit }: Page): Promise<string[]> {
  const wanted = limit + 1;
  let names: string[] = [];
  let last: string | undefined;
  const cut = (): void => {
    names = names.toSorted(byName).slice(0, wanted);
    if (names.length === wanted) last = names.at(-1);
  };
  for (let count = 1; ; count += 1) {
    const entry = directory.readSync();
    if (entry === null) break;
    const { name } = entry;
    const isWanted = name > after && (last === undefined || name < last);
    if (isWanted && !isHidden(`${path}/${name}`)) names.push(name);
    if (names.length >= wanted * SLACK) cut();
    if (count % TURN === 0) await nextTurn();
  }
  cut();
  return names;
}

function byName(one: string, other: string): number {
  return one < other ? -1 : one > other ? 1 : 0;
}

/** Nothing where it has gone meanwhile. */
function describeIn(place: Place, name: string): FileEntry[] {
  try {
    return [describeFile(name, lstatSync(place.at(name)))];
  } catch (error) {
    if (errorCode(error) === "ENOENT") return [];
    throw error;
  }
}

import { closeSync, constants, fstatSync, mkdirSync, openSync, readlinkSync, type Stats, statfsSync } from "node:fs";
import { dirname } from "node:path/posix";
import { COMPUTER, type FileReach } from "@raworc/contract";
import { errorCode } from "./disk-full.ts";
import { RequestError } from "./requests.ts";

/** Opens a place without touching what is there: no device is woken, no pipe waited for. The same on all architectures. */
const O_PATH = 0o10000000;
const FILE_MODE = 0o777;

/** The host's own. Its socket is what the control plane talks to it by. */
const HIDDEN = [COMPUTER.state, dirname(COMPUTER.socketDirectory)];
/** Where the kernel tells of itself, and of the host among others: /proc, /sys and what is mounted like them. */
const KERNEL_FILE_SYSTEMS: ReadonlySet<number> = new Set([
  0x9fa0, 0x62656572, 0x63677270, 0x27e0eb, 0x64626720, 0x74726163, 0xcafe4a11, 0x73636673, 0x19800202, 0x6e736673,
]);

const isBelow = (path: string, folder: string): boolean => path === folder || path.startsWith(`${folder}/`);

/** Whether a path, free of links, is the host's. */
export function isHidden(path: string): boolean {
  return HIDDEN.some((folder) => isBelow(path, folder));
}

/** Throws RequestError unless a caller with this reach may use the path, which is free of links. */
export function assertReach(path: string, reach: FileReach): void {
  if (isHidden(path)) throw new RequestError(403, "forbidden", `${path} is the system's own.`);
  if (reach === "any" || isBelow(path, COMPUTER.session)) return;
  throw new RequestError(403, "forbidden", `This leads to ${path}, outside of ${COMPUTER.session}.`);
}

/**
 * What a path led to at one moment, held by a descriptor: whatever the agent does to the path afterwards, work goes on with
 * what was checked. To be made, used and closed within one act of the agent's rights.
 */
export class Place {
  readonly #descriptor: number;
  /** Where it really is, free of links. */
  readonly path: string;

  private constructor(descriptor: number, path: string) {
    this.#descriptor = descriptor;
    this.path = path;
  }

  /** Throws RequestError for what may not be reached, or the kernel's error. Links are followed. */
  static open(path: string, reach: FileReach, kind: "folder" | "any" = "any"): Place {
    const descriptor = openSync(path, O_PATH | (kind === "folder" ? constants.O_DIRECTORY : 0));
    try {
      const real = readlinkSync(`/proc/self/fd/${descriptor}`);
      assertReach(real, reach);
      if (KERNEL_FILE_SYSTEMS.has(statfsSync(`/proc/self/fd/${descriptor}`).type)) {
        throw new RequestError(403, "forbidden", `${real} is the kernel's and no file; read it with a command.`);
      }
      return new Place(descriptor, real);
    } catch (error) {
      closeSync(descriptor);
      throw error;
    }
  }

  /** The folder at a path; it and those above are made where they are missing. */
  static ensureFolder(path: string, reach: FileReach): Place {
    try {
      return Place.open(path, reach, "folder");
    } catch (error) {
      if (errorCode(error) !== "ENOENT" || path === "/") throw error;
    }
    const parent = Place.ensureFolder(dirname(path), reach);
    try {
      const name = path.slice(path.lastIndexOf("/") + 1);
      assertReach(`${parent.path}/${name}`, reach);
      try {
        mkdirSync(parent.at(name), FILE_MODE & ~0o022);
      } catch (error) {
        if (errorCode(error) !== "EEXIST") throw error;
      }
      return Place.open(parent.at(name), reach, "folder");
    } finally {
      parent.close();
    }
  }

  stat(): Stats {
    return fstatSync(this.#descriptor);
  }

  /** A path that means this very thing, whatever has become of its names. */
  get self(): string {
    return `/proc/self/fd/${this.#descriptor}`;
  }

  /** A path of a thing in this very folder. `name` is one name. */
  at(name: string): string {
    return `${this.self}/${name}`;
  }

  close(): void {
    closeSync(this.#descriptor);
  }
}

/** Works with the place at a path while it is held. */
export function withPlace<T>(path: string, reach: FileReach, work: (place: Place) => T): T {
  const place = Place.open(path, reach);
  try {
    return work(place);
  } finally {
    place.close();
  }
}

/** A path's folder and its name in that. Throws RequestError for the root and `/session` itself. */
export function splitPath(path: string): { readonly folder: string; readonly name: string } {
  if (path === "/" || path === COMPUTER.session) {
    throw new RequestError(422, "not_a_file", `${path} itself can't be written, moved or deleted.`);
  }
  return { folder: dirname(path), name: path.slice(path.lastIndexOf("/") + 1) };
}

import { statSync } from "node:fs";
import { basename, dirname, join } from "node:path";
import { DriverError } from "../driver.ts";
import { quote, words } from "./shell.ts";

/** Places that hold nothing which computers are made from. A mount here is seen by that computer's launch alone. */
const PLACES = ["/dev/shm", "/mnt", "/media", "/srv", "/run"];

/** A name of its own: `mount` passes over what it takes for mounted already, and most places are a "tmpfs". */
const NAME = "raworc-stage";
const OPTIONS = "size=1m,mode=0755";
/** Name of the computer's volume there. */
export const VOLUME_ON_STAGE = "volume";
export const DISK_OPTIONS = "loop,nosuid,nodev,noatime,noinit_itable,discard";

/** Command that begins a stage. */
export function mountStage(directory: string): string {
  return words("mount", "-t", "tmpfs", "-o", OPTIONS, NAME, directory);
}

/** Seconds between attempts to mount. */
const PAUSES = ["0.02", "0.1", "0.5"];

/**
 * Where the launch of one computer gathers what bubblewrap mounts, in a mount namespace of its own: uid 0 of the computer may
 * not enter the folders of this machine's user. All mounts go with the last process of the computer.
 */
export class Stage {
  readonly directory: string;
  readonly #table: string;
  readonly #lines: string[];
  readonly #names = new Map<string, string>();
  readonly #isBegun: boolean;

  /**
   * `table` is a file that may be written; `sources` is all that will be mounted. A stage that was begun elsewhere is at
   * `begunAt`, with its disk.
   */
  constructor(table: string, sources: readonly string[], begunAt?: string) {
    this.#table = table;
    this.#isBegun = begunAt !== undefined;
    this.directory = begunAt ?? choosePlace(sources);
    this.#lines = this.#isBegun ? [] : [`${NAME} ${this.directory} tmpfs ${OPTIONS}`];
  }

  /** Mounts a folder, or the folder of a file, and gives the source's path on the stage. */
  bind(source: string): string {
    const isFile = statSync(source, { throwIfNoEntry: false })?.isDirectory() === false;
    const folder = isFile ? dirname(source) : source;
    let name = this.#names.get(folder);
    if (name === undefined) {
      name = `m${this.#names.size}`;
      this.#names.set(folder, name);
      this.#add(folder, name, "none", "bind");
    }
    const path = join(this.directory, name);
    return isFile ? join(path, basename(source)) : path;
  }

  /** Mounts a disk image under a name. */
  disk(image: string, name = VOLUME_ON_STAGE): string {
    if (this.#isBegun) return join(this.directory, name);
    return this.#add(image, name, "ext4", DISK_OPTIONS);
  }

  /** Mounts a folder under a name. */
  folder(source: string, name: string): string {
    return this.#add(source, name, "none", "bind");
  }

  /**
   * Shell commands that make all mounts at once. What is mounted already is passed over, so they are tried again where
   * somebody else has taken the free loop device in between.
   */
  get commands(): readonly string[] {
    const table = quote(this.#table);
    const mount = `mount --all --fstab ${table}`;
    const again = PAUSES.map((seconds) => `{ sleep ${seconds}; ${mount} 2>/dev/null; }`);
    return [`printf %s ${quote(`${this.#lines.join("\n")}\n`)} >${table}`, [mount, ...again].join(" || ")];
  }

  #add(source: string, name: string, type: string, options: string): string {
    const target = join(this.directory, name);
    this.#lines.push(`${inFstab(source)} ${target} ${type} ${options},X-mount.mkdir`);
    return target;
  }
}

/** Blanks and what looks like an escape are written in octal, as fstab(5) wants it. */
function inFstab(path: string): string {
  return path.replace(/[\s\\#]/g, (character) => `\\${character.charCodeAt(0).toString(8).padStart(3, "0")}`);
}

function choosePlace(sources: readonly string[]): string {
  const place = PLACES.find(
    (candidate) =>
      statSync(candidate, { throwIfNoEntry: false })?.isDirectory() === true &&
      !sources.some((source) => source === candidate || source.startsWith(`${candidate}/`)),
  );
  if (place !== undefined) return place;
  throw new DriverError(`A computer can't be made from folders in all of ${PLACES.join(", ")} at once`, {
    transient: false,
  });
}

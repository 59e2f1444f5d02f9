import { rm } from "node:fs/promises";
import { join } from "node:path";
import type { Logger } from "pino";
import { removeLeftDrafts } from "../left-drafts.ts";
import type { Spawner } from "../spawner/spawner.ts";
import { DESCRIPTORS, LaunchTalk, MAPPING, TOLD } from "./launch-talk.ts";
import { type Begun, endBegun } from "./launcher.ts";
import { SYSTEM_PATH } from "./programs.ts";
import { words } from "./shell.ts";
import { DISK_OPTIONS, mountStage, VOLUME_ON_STAGE } from "./stage.ts";

/** What computers that are launched one after the other have in common. */
export interface StandbyKind {
  readonly diskMb: number;
  /** An empty disk of that size. */
  readonly template: string;
  /** Where the stage is. */
  readonly place: string;
}

/** The begin of a launch: a shell in a mount namespace of its own, with an empty disk on its stage, that waits for the rest. */
export interface Standby extends Begun, StandbyKind {
  readonly image: string;
}

/**
 * Begins the launch of the next computer while nobody waits for it: what is the same for all of them takes a quarter of a
 * launch. There is one at most, and none before a first computer. It ends with this process.
 */
export class Standbys {
  readonly #folder: string;
  readonly #spawner: Spawner;
  readonly #log: Logger;
  #ready: Standby | undefined;
  #making: Promise<void> | undefined;
  #count = 0;
  #closed = false;

  constructor(folder: string, spawner: Spawner, log: Logger) {
    this.#folder = folder;
    this.#spawner = spawner;
    this.#log = log;
  }

  /** Removes disks of servers that were killed. */
  open(): Promise<void> {
    return removeLeftDrafts(this.#folder, /^standby-(\d+)-/);
  }

  /** Undefined where none waits. The caller moves the disk's image to where it is to be. */
  take(diskMb: number): Standby | undefined {
    const standby = this.#ready;
    if (standby?.diskMb !== diskMb || standby.program.hasEnded) return undefined;
    this.#ready = undefined;
    return standby;
  }

  /** Sees to it that one waits. */
  refill(kind: StandbyKind): void {
    if (this.#closed || this.#making !== undefined || isLike(this.#ready, kind)) return;
    this.#making = this.#make(kind)
      .catch((error: unknown) => this.#log.info({ err: error }, "no launch could be begun ahead"))
      .finally(() => {
        this.#making = undefined;
      });
  }

  async close(): Promise<void> {
    this.#closed = true;
    await this.#making;
    await this.#drop();
  }

  async #make(kind: StandbyKind): Promise<void> {
    await this.#drop();
    this.#count += 1;
    const image = join(this.#folder, `standby-${process.pid}-${this.#count}.img`);
    const volume = join(kind.place, VOLUME_ON_STAGE);
    const script = [
      "set -e",
      words("cp", "--sparse=always", kind.template, image),
      mountStage(kind.place),
      words("mkdir", volume),
      words("mount", "-t", "ext4", "-o", DISK_OPTIONS, image, volume),
      `echo standby >&${TOLD}; read -r rest <&${MAPPING} || exit 0`,
      '. "$rest"',
    ];
    const program = this.#spawner.start({
      words: ["unshare", "--mount", "--", "sh", "-c", script.join("\n")],
      environment: { PATH: SYSTEM_PATH, LC_ALL: "C" },
      log: null,
      ...DESCRIPTORS,
    });
    program.letGo();
    const standby: Standby = { ...kind, image, program, talk: new LaunchTalk(program) };
    try {
      await standby.talk.expect("standby");
      this.#ready = standby;
    } catch (error) {
      await end(standby);
      throw error;
    }
  }

  async #drop(): Promise<void> {
    const standby = this.#ready;
    this.#ready = undefined;
    if (standby !== undefined) await end(standby);
  }
}

function isLike(standby: Standby | undefined, { diskMb, place, template }: StandbyKind): boolean {
  return standby?.diskMb === diskMb && standby.place === place && standby.template === template;
}

async function end(standby: Standby): Promise<void> {
  endBegun(standby);
  await standby.program.ended;
  await rm(standby.image, { force: true });
}

import { createHash } from "node:crypto";
import { type FileHandle, open, readdir } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { DriverError } from "../driver.ts";

const NAME = /^[A-Za-z0-9][A-Za-z0-9._-]{0,127}$/;
/** The kernel's limit for the path of a Unix socket, without the closing zero byte. */
const SOCKET_PATH_MAX_BYTES = 107;
const LONGEST_ID = "00000000-0000-0000-0000-000000000000";

/**
 * Where everything of one installation is on this machine. What lies elsewhere, control groups alone, is named with `label`.
 * Folders are found by it, never by looking around: an installation sees nothing of another one's.
 */
export class Layout {
  readonly label: string;
  readonly root: string;
  /** Open where sockets' paths would be too long. */
  #sockets: FileHandle | undefined;
  #egress: FileHandle | undefined;

  constructor(dataDirectory: string, instanceId: string) {
    this.label = createHash("sha256").update(instanceId).digest("hex").slice(0, 12);
    this.root = join(dataDirectory, "sandbox", this.label);
  }

  get computers(): string {
    return join(this.root, "computers");
  }
  get volumes(): string {
    return join(this.root, "volumes");
  }
  get sockets(): string {
    return join(this.root, "run");
  }
  get artifacts(): string {
    return join(this.root, "artifacts");
  }
  /** Artifacts that are being made or removed. */
  get drafts(): string {
    return join(this.root, "drafts");
  }
  get builds(): string {
    return join(this.root, "builds");
  }
  /** What is the same for all computers: small files of `/etc`, system call filters, empty disks. */
  get shared(): string {
    return join(this.root, "shared");
  }
  /** Where the egress proxy's sockets are made; computers can't write here. */
  get egress(): string {
    return join(this.root, "out");
  }

  computer(id: string): string {
    return join(this.computers, checkName(id));
  }
  volume(id: string): string {
    return join(this.volumes, checkName(id));
  }
  socketDirectory(id: string): string {
    return join(this.sockets, checkName(id));
  }
  /** The same by a path that is short enough for sockets, in this process alone. */
  reachSockets(id: string): string {
    return join(this.#sockets === undefined ? this.sockets : byDescriptor(this.#sockets), checkName(id));
  }
  /** Where the egress proxy's socket of a computer is made: its path for files, and the one for sockets. */
  egressDraft(id: string): { readonly path: string; readonly reach: string } {
    const name = `${checkName(id)}.sock`;
    const reach = this.#egress === undefined ? this.egress : byDescriptor(this.#egress);
    return { path: join(this.egress, name), reach: join(reach, name) };
  }
  artifact(key: string): string {
    return join(this.artifacts, checkName(key));
  }

  /** Once the folders are there: makes sockets in them reachable, however long the folders' paths are. */
  async open(): Promise<void> {
    const longest = join(this.socketDirectory(LONGEST_ID), COMPUTER.egressSocket);
    if (Buffer.byteLength(longest) <= SOCKET_PATH_MAX_BYTES) return;
    [this.#sockets, this.#egress] = await Promise.all([open(this.sockets), open(this.egress)]);
  }

  /** Nothing is reached any more. Idempotent. */
  async close(): Promise<void> {
    await Promise.all([this.#sockets?.close(), this.#egress?.close()]);
  }
}

/** The kernel goes straight to what is open here. */
function byDescriptor({ fd }: FileHandle): string {
  return `/proc/self/fd/${fd}`;
}

/** An artifact's files are a folder in its own: they belong to another id, and folders of others can't be moved. */
export function artifactFiles(artifact: string): string {
  return join(artifact, "files");
}

/** What a folder holds; nothing where it is gone after a reset. */
export async function namesIn(folder: string): Promise<readonly string[]> {
  return readdir(folder).catch((error: NodeJS.ErrnoException) => {
    if (error.code === "ENOENT") return [];
    throw error;
  });
}

/** Ids and keys become parts of paths. Throws DriverError. */
export function checkName(name: string): string {
  if (NAME.test(name)) return name;
  throw new DriverError(`${JSON.stringify(name)} is no name for a computer or an artifact`, { transient: false });
}

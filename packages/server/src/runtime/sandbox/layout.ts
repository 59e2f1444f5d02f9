import { createHash } from "node:crypto";
import { readdir } from "node:fs/promises";
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
  artifact(key: string): string {
    return join(this.artifacts, checkName(key));
  }

  /** Undefined where the sockets' paths fit. */
  get fault(): string | undefined {
    const path = join(this.socketDirectory(LONGEST_ID), COMPUTER.egressSocket);
    const excess = Buffer.byteLength(path) - SOCKET_PATH_MAX_BYTES;
    if (excess <= 0) return undefined;
    return `The data directory's path is ${excess} characters too long for Unix sockets. Set RAWORC_DATA_DIR to a shorter one.`;
  }
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

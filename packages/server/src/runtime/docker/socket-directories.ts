import { chmod, mkdir, readdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { DriverError } from "../driver.ts";

/** Longest path of a Unix socket that all systems take. */
const SOCKET_PATH_MAX = 103;
const ID_LENGTH = 36;

/** The machine's side of the computers' sockets: a directory for each, below one that only the server's user may enter. */
export class SocketDirectories {
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
  }

  /** Throws DriverError where sockets would have paths that are too long. */
  static async open(dataDirectory: string): Promise<SocketDirectories> {
    const parent = join(dataDirectory, "docker", "s");
    const length = Buffer.byteLength(join(parent, "x".repeat(ID_LENGTH), COMPUTER.egressSocket));
    if (length > SOCKET_PATH_MAX) {
      const message = `The data directory's path is too long: sockets in it would have ${length} bytes, ${SOCKET_PATH_MAX} are possible. Set RAWORC_DATA_DIR to one that is ${length - SOCKET_PATH_MAX} shorter: ${dataDirectory}`;
      throw new DriverError(message, { transient: false });
    }
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await chmod(parent, 0o700);
    return new SocketDirectories(parent);
  }

  path(id: string): string {
    return join(this.#parent, id);
  }

  egressSocket(id: string): string {
    return join(this.path(id), COMPUTER.egressSocket);
  }

  /** The host inside has another uid where the server is not root or the engine maps users: its directory is open to all. */
  async make(id: string): Promise<void> {
    await mkdir(this.path(id), { recursive: true });
    await chmod(this.path(id), 0o777);
  }

  /** What a computer that runs no longer left behind. */
  async clear(id: string): Promise<void> {
    await rm(join(this.path(id), COMPUTER.hostSocket), { force: true });
    await rm(this.egressSocket(id), { force: true });
  }

  async remove(id: string): Promise<void> {
    await rm(this.path(id), { recursive: true, force: true });
  }

  list(): Promise<readonly string[]> {
    return readdir(this.#parent);
  }
}

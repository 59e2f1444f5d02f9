import { chmod, mkdir, readdir, rm, stat, symlink } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { DriverError } from "../driver.ts";
import { ProgramError, runProgram } from "./program.ts";

/** Longest path of a Unix socket that all systems take. */
const SOCKET_PATH_MAX = 103;
const UUID = /^[0-9a-f]{8}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{4}-[0-9a-f]{12}$/;
const SHORT = /^[A-Za-z0-9_-]{22}$/;
const SHORT_LENGTH = 22;

/** The machine's side of the computers' sockets: a directory for each, below one that only the server's user may enter. */
export class SocketDirectories {
  readonly #parent: string;

  private constructor(parent: string) {
    this.#parent = parent;
  }

  /** Throws DriverError where sockets would have paths that are too long. */
  static async open(parent: string): Promise<SocketDirectories> {
    const length = Buffer.byteLength(join(parent, "x".repeat(SHORT_LENGTH), COMPUTER.egressSocket));
    if (length > SOCKET_PATH_MAX) {
      const excess = length - SOCKET_PATH_MAX;
      const message = `The data directory's path is too long for sockets in it. Set RAWORC_DATA_DIR to one that is at least ${excess} characters shorter: ${parent}`;
      throw new DriverError(message, { transient: false });
    }
    await mkdir(parent, { recursive: true, mode: 0o700 });
    await chmod(parent, 0o700);
    return new SocketDirectories(parent);
  }

  path(id: string): string {
    return join(this.#parent, shorten(id));
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

  async list(): Promise<readonly string[]> {
    return (await readdir(this.#parent).catch(() => [])).filter((name) => !name.startsWith(".")).map(lengthen);
  }

  /**
   * From now on no link in the directories leads anywhere, so that a root inside can't point the server at another
   * computer's socket or at the machine's files. Needs root, and Linux 5.10. Throws DriverError where it can't be.
   */
  async refuseLinks(): Promise<void> {
    if (await this.#refusesLinks()) return;
    try {
      await runProgram("mount", ["--bind", "-o", "nosymfollow", this.#parent, this.#parent]);
    } catch (error) {
      if (!(error instanceof ProgramError)) throw error;
      throw rootRefused(error);
    }
    if (!(await this.#refusesLinks())) throw rootRefused();
  }

  /** Takes refuseLinks() back. */
  async release(): Promise<void> {
    if (await this.#refusesLinks()) await runProgram("umount", ["--lazy", this.#parent]);
  }

  async #refusesLinks(): Promise<boolean> {
    const probe = join(this.#parent, `.probe-${process.pid}`);
    try {
      await symlink("/", probe);
      await stat(probe);
      return false;
    } catch (error) {
      return error instanceof Error && "code" in error && error.code === "ELOOP";
    } finally {
      await rm(probe, { force: true });
    }
  }
}

function rootRefused(cause?: unknown): DriverError {
  const message =
    "Sessions with root need a server that is root itself, on Linux 5.10 or newer: links to sockets must be refused. Run the server as root, use the sandbox driver, or set root to false in the space's settings.";
  return new DriverError(message, { cause, transient: false });
}

/** Paths of sockets are short, so a UUID is written in 22 characters. Other ids stay as they are. */
function shorten(id: string): string {
  return UUID.test(id) ? Buffer.from(id.replaceAll("-", ""), "hex").toString("base64url") : id;
}

function lengthen(name: string): string {
  if (!SHORT.test(name)) return name;
  const hex = Buffer.from(name, "base64url").toString("hex");
  return hex.replace(/^(.{8})(.{4})(.{4})(.{4})(.{12})$/, "$1-$2-$3-$4-$5");
}

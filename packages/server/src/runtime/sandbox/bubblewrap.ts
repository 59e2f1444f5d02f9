import { dirname } from "node:path";

/** Arguments of one call of bubblewrap, in the order in which it works them off. */
export class BubblewrapArguments {
  readonly #words: string[] = [];
  readonly #folders = new Set(["/"]);

  get words(): readonly string[] {
    return this.#words;
  }

  add(...words: readonly string[]): this {
    this.#words.push(...words);
    return this;
  }

  /** A folder for all to enter, and the folders above it. Bubblewrap's own would be closed to agents. */
  folder(path: string, mode = "0755"): this {
    if (this.#folders.has(path)) return this;
    this.folder(dirname(path));
    this.#folders.add(path);
    return this.add("--perms", mode, "--dir", path);
  }

  readOnly(source: string, target: string): this {
    return this.#mount("--ro-bind", source, target);
  }

  writable(source: string, target: string): this {
    return this.#mount("--bind", source, target);
  }

  link(to: string, path: string): this {
    this.folder(dirname(path));
    return this.add("--symlink", to, path);
  }

  /** What is there already: bubblewrap need not make it. */
  knows(...paths: readonly string[]): this {
    for (const path of paths) this.#folders.add(path);
    return this;
  }

  #mount(kind: string, source: string, target: string): this {
    this.folder(dirname(target));
    this.#folders.add(target);
    return this.add(kind, source, target);
  }
}

export const HOST_CAPABILITIES = ["setuid", "setgid", "kill"] as const;
/** What root in a container usually has: it may administer its own files, users and processes. */
export const ROOT_CAPABILITIES = [
  "audit_write",
  "chown",
  "dac_override",
  "fowner",
  "fsetid",
  "kill",
  "net_bind_service",
  "setfcap",
  "setgid",
  "setpcap",
  "setuid",
  "sys_chroot",
] as const;

/** Bubblewrap's words for capabilities that are kept, all others dropped. */
export function keepCapabilities(names: readonly string[]): string[] {
  return ["--cap-drop", "ALL", ...names.flatMap((name) => ["--cap-add", `CAP_${name.toUpperCase()}`])];
}

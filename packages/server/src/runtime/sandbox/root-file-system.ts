import { existsSync, lstatSync, readlinkSync } from "node:fs";
import { dirname, join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import type { BubblewrapArguments } from "./bubblewrap.ts";
import type { EtcFiles } from "./etc-files.ts";
import type { IdentityMount } from "./identity-mount.ts";
import { words } from "./shell.ts";
import type { Stage } from "./stage.ts";

const OWN_FOLDER = dirname(COMPUTER.program);
/** Folders at the top that are part of `/usr` on most systems, and folders of their own on others. */
const SYSTEM_FOLDERS = ["bin", "sbin", "lib", "lib32", "lib64", "libx32"];
/** Where packages are noted, so that what needs some can look. */
const PACKAGES = "/var/lib/dpkg";
/** What root needs for package installation; sources and keys, never credentials. */
const PACKAGE_SETTINGS = [
  "apt/sources.list",
  "apt/sources.list.d",
  "apt/trusted.gpg.d",
  "apt/keyrings",
  "apt/preferences.d",
  "dpkg",
  "debconf.conf",
  "deluser.conf",
  "adduser.conf",
  "pam.d",
  "skel",
];
const EMPTY_FOLDERS = [
  "dev",
  "home",
  "mnt",
  "opt/raworc",
  "proc",
  "run",
  "session",
  "tmp",
  "var/cache/apt/archives/partial",
  "var/lib/apt/lists/partial",
  "var/lib/dpkg",
  "var/log/apt",
  "usr",
];

export interface RootOptions {
  readonly stage: Stage;
  /** The volume's path on the stage. */
  readonly volume: string;
  readonly firstId: number;
  readonly etc: EtcFiles;
  /** All of `/etc` in one folder; null where its parts are mounted. */
  readonly etcFolder: string | null;
  /** Shows this machine's files as root's inside; null where that can't be had. */
  readonly identityMount: IdentityMount | null;
}

export interface RootFileSystem {
  /** Shell commands for the stage. */
  readonly preparation: readonly string[];
  readonly mount: (wrap: BubblewrapArguments) => void;
}

/** The machine's own `/usr`, read-only, and the few files of `/etc` that programs need. */
export function machineRoot({ stage, etc, etcFolder, volume }: RootOptions): RootFileSystem {
  const made = stage.bind(etcFolder ?? etc.directory);
  return {
    preparation: [],
    mount: (wrap) => {
      mountSystem(wrap);
      if (etcFolder === null) mountParts(wrap, etc, made);
      else wrap.readOnly(made, "/etc");
      if (existsSync(PACKAGES)) wrap.readOnly(PACKAGES, PACKAGES);
      for (const folder of ["/home", "/mnt", "/opt", "/root", "/run", "/var/log", "/var/cache"]) wrap.folder(folder);
      wrap.writable(`${volume}/tmp`, "/tmp").writable(`${volume}/tmp`, "/var/tmp");
    },
  };
}

function mountParts(wrap: BubblewrapArguments, etc: EtcFiles, made: string): void {
  for (const name of etc.made) wrap.readOnly(join(made, name), join("/etc", name));
  for (const name of etc.taken) wrap.readOnly(join("/etc", name), join("/etc", name));
  for (const [name, to] of Object.entries(etc.links)) wrap.link(to, join("/etc", name));
}

/**
 * The machine's `/usr` below a layer that root inside may change. Root's other folders lie on the volume: they are written
 * at the first start.
 */
export function machineRootForRoot(options: RootOptions): RootFileSystem {
  const { stage, volume, firstId, etc, identityMount } = options;
  const made = stage.bind(etc.directory);
  const accounts = stage.bind(etc.accounts);
  const root = `${volume}/root`;
  const draft = `${root}.new`;
  const settings = [...etc.taken, ...PACKAGE_SETTINGS.filter((name) => existsSync(join("/etc", name)))];
  const links = Object.entries(etc.links).map(([name, to]) => words("ln", "-sfn", to, join(draft, "etc", name)));
  const first = [
    `rm -rf ${draft}`,
    words("mkdir", "-p", join(draft, "etc"), join(draft, "root"), ...EMPTY_FOLDERS.map((name) => join(draft, name))),
    `(cd /etc && ${words("cp", "-R", "--no-dereference", "--preserve=mode,links", "--parents", ...settings)} ${draft}/etc)`,
    `cp ${made}/* ${draft}/etc`,
    `cp ${accounts}/* ${draft}/etc`,
    `mkdir -p ${draft}/etc/apt/apt.conf.d && printf 'APT::Sandbox::User "root";\\n' >${draft}/etc/apt/apt.conf.d/99session`,
    `ln -s /tmp ${draft}/var/tmp`,
    ...systemFolders().flatMap(({ path, to }) => (to === null ? [] : words("ln", "-s", to, join(draft, path)))),
    ...links,
    `chown -hR ${firstId}:${firstId} ${draft} && chmod 0755 ${draft} && mv ${draft} ${root}`,
  ];
  const layers = [
    { source: "/usr", name: "usr" },
    ...(existsSync(PACKAGES) ? [{ source: PACKAGES, name: "var/lib/dpkg" }] : []),
  ];
  const shown = identityMount?.commands(stage.directory, firstId, layers) ?? [];
  // Never mounted into the root itself: what it holds may lead elsewhere.
  const merged = (name: string): string => `${stage.directory}/merged/${name}`;
  const overlays = layers.map(({ name }) => {
    const layer = `${volume}/layers/${name}`;
    const lower = `${stage.directory}/lower/${name}`;
    return [
      `mkdir -p ${layer}/upper ${layer}/work ${merged(name)} && chown ${firstId}:${firstId} ${layer}/upper`,
      `mount -t overlay overlay -o lowerdir=${lower},upperdir=${layer}/upper,workdir=${layer}/work ${merged(name)}`,
    ].join("\n");
  });
  return {
    preparation: [
      `if [ ! -e ${root} ]; then\n${first.join("\n")}\nfi`,
      realFolders(root),
      ...(identityMount === null ? [] : [...shown, ...overlays]),
    ],
    mount: (wrap) => {
      wrap.add("--bind", root, "/").knows("/usr", "/etc", "/root", "/opt", "/run", "/var", "/home", "/tmp");
      if (identityMount === null) wrap.readOnly("/usr", "/usr");
      else for (const { name } of layers) wrap.add("--bind", merged(name), `/${name}`);
      for (const { path, to } of systemFolders()) if (to === null) wrap.readOnly(path, path);
      wrap.writable(`${volume}/tmp`, "/tmp");
      mountOwnFolders(wrap);
    },
  };
}

/**
 * An unpacked image below a layer on the volume, and our own files of `/etc` between the two. Mount points are made here: the
 * image's folders are another root's.
 */
export function imageRoot(image: string, options: RootOptions, forRoot: boolean): RootFileSystem {
  const { stage, volume, firstId, etc } = options;
  const root = `${stage.directory}/root`;
  const layer = `${volume}/layers/image`;
  const identityMount = forRoot ? options.identityMount : null;
  const layers = [
    { source: dirname(etc.image ?? etc.directory), name: "ours" },
    { source: image, name: "image" },
  ];
  const shown = identityMount?.commands(stage.directory, firstId, layers) ?? [];
  const lower = layers.map(({ source, name }) =>
    identityMount === null ? stage.bind(source) : `${stage.directory}/lower/${name}`,
  );
  return {
    preparation: [
      ...shown,
      `mkdir -p ${layer}/upper ${layer}/work ${root} && chown ${firstId}:${firstId} ${layer}/upper`,
      `mount -t overlay overlay -o lowerdir=${lower.join(":")},upperdir=${layer}/upper,workdir=${layer}/work ${root}`,
      realFolders(root),
    ],
    mount: (wrap) => {
      wrap.add("--bind", root, "/").knows("/tmp", "/etc", "/run", "/opt");
      wrap.writable(`${volume}/tmp`, "/tmp");
      mountOwnFolders(wrap);
    },
  };
}

/** Folders that bubblewrap mounts at. On a root that keeps its files a session may have put links in their places. */
const MOUNT_POINTS = ["dev", "proc", "run", "run/raworc", "opt", "opt/raworc", "session", "tmp", "usr"];

/** Takes away, and never follows, what is no folder there. */
function realFolders(root: string): string {
  return [
    `for name in ${MOUNT_POINTS.join(" ")}; do path=${root}/$name`,
    'if [ -L "$path" ] || [ ! -d "$path" ]; then rm -rf "$path"; mkdir "$path"; fi',
    "done",
  ].join("\n");
}

/** What lies at the top beside `/usr`: links into it, or folders (`to` is null). */
function systemFolders(): readonly { readonly path: string; readonly to: string | null }[] {
  return SYSTEM_FOLDERS.flatMap((name) => {
    const path = `/${name}`;
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found?.isSymbolicLink()) return { path, to: readlinkSync(path) };
    return found?.isDirectory() ? { path, to: null } : [];
  });
}

/** `/usr` and the folders beside it, read-only. */
export function mountSystem(wrap: BubblewrapArguments): void {
  wrap.readOnly("/usr", "/usr");
  for (const { path, to } of systemFolders()) {
    if (to === null) wrap.readOnly(path, path);
    else wrap.link(to, path);
  }
}

/** Mount points and links of ours are made anew with each start, on whatever root that keeps its files. */
function mountOwnFolders(wrap: BubblewrapArguments): void {
  wrap.add("--perms", "0755", "--tmpfs", OWN_FOLDER).knows(OWN_FOLDER);
  wrap.add("--perms", "0700", "--tmpfs", dirname(COMPUTER.socketDirectory)).knows(dirname(COMPUTER.socketDirectory));
}

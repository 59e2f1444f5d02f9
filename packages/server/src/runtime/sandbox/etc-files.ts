import { existsSync, lstatSync } from "node:fs";
import { mkdir, readFile, readlink } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { writeShared } from "./shared-file.ts";

export const HOST_NAME = "session";

/** Files of `/etc` that are the same in all computers, and tell nothing of this machine. */
const MADE: Readonly<Record<string, string>> = {
  passwd: [
    "root:x:0:0:root:/root:/bin/sh",
    `agent:x:${COMPUTER.agentUid}:${COMPUTER.agentUid}:agent:${COMPUTER.session}:/bin/sh`,
    "nobody:x:65534:65534:nobody:/nonexistent:/usr/sbin/nologin",
    "",
  ].join("\n"),
  group: `root:x:0:\nagent:x:${COMPUTER.agentUid}:\nnogroup:x:65534:\n`,
  hosts: `127.0.0.1\tlocalhost ${HOST_NAME}\n::1\tlocalhost ip6-localhost\n`,
  hostname: `${HOST_NAME}\n`,
  "resolv.conf": "",
  "nsswitch.conf": "passwd: files\ngroup: files\nhosts: files dns\nservices: files\nprotocols: files\n",
  "host.conf": "multi on\n",
  shells: "/bin/sh\n/bin/bash\n",
};

/** What programs of `/usr` look for, where this machine has it. No file here holds anything secret or personal. */
const TAKEN = [
  "alternatives",
  "bash.bashrc",
  "ca-certificates",
  "ca-certificates.conf",
  "crypto-policies",
  "debian_version",
  "fonts",
  "inputrc",
  "ld.so.cache",
  "ld.so.conf",
  "ld.so.conf.d",
  "locale.alias",
  "localtime",
  "login.defs",
  "magic",
  "magic.mime",
  "mime.types",
  "nanorc",
  "os-release",
  "pki/ca-trust",
  "pki/tls",
  "profile",
  "protocols",
  "python3",
  "services",
  "ssl/certs",
  "ssl/openssl.cnf",
  "terminfo",
  "timezone",
];

/** Ids of the system's own accounts, which packages name. People's are above. */
const SYSTEM_ID_MAX = 999;

export interface EtcFiles {
  /** Folder of this machine with the files that were made. */
  readonly directory: string;
  /** Another with `passwd` and `group` as packages need them that root installs. */
  readonly accounts: string;
  /** Another with what an unpacked image gets; null without one. */
  readonly image: string | null;
  readonly made: readonly string[];
  /** Paths below `/etc` that are the machine's own. */
  readonly taken: readonly string[];
  /** Links below `/etc` and where they lead. */
  readonly links: Readonly<Record<string, string>>;
}

/** Writes what is made, and looks for what is taken. May be repeated. */
export async function makeEtcFiles(directory: string, rootDirectory: string | null): Promise<EtcFiles> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  for (const [name, text] of Object.entries(MADE)) await writeShared(join(directory, name), text);
  const links: Record<string, string> = {};
  const taken: string[] = [];
  for (const name of TAKEN) {
    const path = join("/etc", name);
    const found = lstatSync(path, { throwIfNoEntry: false });
    if (found === undefined || !existsSync(path)) continue;
    if (found.isSymbolicLink()) links[name] = await readlink(path);
    else taken.push(name);
  }
  return {
    directory,
    accounts: await writeAccounts(`${directory}-accounts`),
    image: rootDirectory === null ? null : await writeForImage(`${directory}-image/etc`, rootDirectory),
    made: Object.keys(MADE),
    taken,
    links,
  };
}

/** An image has its own settings; names and addresses are ours, and the agent's account where it knows none. */
async function writeForImage(directory: string, rootDirectory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  const write = (name: string, text: string) => writeShared(join(directory, name), text);
  for (const name of ["hosts", "hostname", "resolv.conf"]) await write(name, MADE[name] ?? "");
  for (const name of ["passwd", "group"]) {
    const text = await readFile(join(rootDirectory, "etc", name), "utf8").catch(() => "");
    const ids = text.split("\n").map((line) => line.split(":")[2]);
    const agent = (MADE[name] ?? "").split("\n").filter((line) => line.startsWith("agent:"));
    if (!ids.includes(String(COMPUTER.agentUid))) await write(name, `${text}${agent.join("\n")}\n`);
  }
  return directory;
}

async function writeAccounts(directory: string): Promise<string> {
  await mkdir(directory, { recursive: true, mode: 0o755 });
  for (const name of ["passwd", "group"] as const) {
    const known = new Set((MADE[name] ?? "").split("\n").map((line) => line.split(":")[0]));
    const machine = await readFile(join("/etc", name), "utf8").catch(() => "");
    const system = machine.split("\n").filter((line) => {
      const [account = "", , id] = line.split(":");
      return id !== undefined && Number(id) <= SYSTEM_ID_MAX && !known.has(account);
    });
    await writeShared(join(directory, name), `${MADE[name]}${system.join("\n")}\n`);
  }
  return directory;
}

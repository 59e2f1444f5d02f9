import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER, type Limits } from "@raworc/contract";
import { z } from "zod";
import type { HostProgram } from "../host-program.ts";
import { HOST_CAPABILITIES, keepCapabilities, ROOT_CAPABILITIES } from "./bubblewrap.ts";
import { bytesOf } from "./cgroups.ts";
import type { IdMapping } from "./id-map.ts";
import { NODE_INSIDE } from "./toolchains.ts";

const Flags = z.object({ arguments: z.array(z.string()), environment: z.record(z.string(), z.string()) });
export type HostFlags = z.infer<typeof Flags>;

/** How Node.js is started for the host, as the host's program itself says. */
export async function readHostFlags({ directory }: HostProgram): Promise<HostFlags> {
  return Flags.parse(JSON.parse(await readFile(join(directory, "flags.json"), "utf8")));
}

/** The launch leaves the host's log open as this descriptor. */
export const HOST_LOG = 8;
/** Filters of `single` computers are here inside. */
export const FILTERS_INSIDE = "/opt/raworc/filters";

/**
 * Process 1: reaps what nobody waits for, and ends with the host, whereupon the kernel ends everything else inside. Nothing
 * of a session has more capabilities than the host's bounding set.
 */
export function hostCommand(
  flags: HostFlags,
  capabilities: readonly string[],
  resourceLimits: readonly string[],
): string[] {
  const init = `ulimit -c 0; exec >&${HOST_LOG} 2>&${HOST_LOG} ${HOST_LOG}>&-; "$@" </dev/null & wait $!`;
  const bounds = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  return [
    "setpriv",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    `--bounding-set=${bounds}`,
    "--",
    ...resourceLimits,
    "/bin/sh",
    "-c",
    init,
    "init",
    `${NODE_INSIDE}/bin/node`,
    ...flags.arguments,
    `${COMPUTER.program}/host.mjs`,
  ];
}

/**
 * What agents of a `root` session are started with: they are uid 0 as the host is, so they get processes and mounts of their
 * own, in which the host, its socket and its journal are not.
 */
export function rootPrefix(bubblewrap: readonly string[]): readonly string[] {
  return [...bubblewrap, ...OWN_VIEW, ...keepCapabilities(ROOT_CAPABILITIES), "--"];
}

/** The same where there is one uid only: a user namespace of their own in which they are the usual uid, and no more. */
export function singlePrefix(bubblewrap: readonly string[], filterName: string, root: boolean): readonly string[] {
  const uid = root ? "0" : String(COMPUTER.agentUid);
  // The host's folders belong to the same id: agents may look and not write.
  const closed = [COMPUTER.logs, COMPUTER.agents].flatMap((path) => ["--ro-bind", path, path]);
  const wrap = ["--unshare-user", "--uid", uid, "--gid", uid, ...OWN_VIEW, ...closed];
  wrap.push(...keepCapabilities(root ? ROOT_CAPABILITIES : []), "--seccomp", "9");
  return ["sh", "-c", `exec ${[...bubblewrap, ...wrap].join(" ")} -- "$@" 9<${FILTERS_INSIDE}/${filterName}`, "agent"];
}

const OWN_VIEW = [
  ...["--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"],
  ...["--tmpfs", "/run/raworc", "--tmpfs", COMPUTER.state],
];

/** What Node.js reserves without using it, and yet counts. */
const RESERVED_MB = 1024;

/** Limits of each process and each user inside, where there is nothing better. They can't be raised again. */
export function resourceLimitWords({ memory_mb, pids }: Limits): readonly string[] {
  return ["prlimit", `--data=${bytesOf(memory_mb + RESERVED_MB)}`, `--nproc=${pids}`, "--"];
}

/** What the host needs to start others as what they are to be. */
export function hostCapabilities(mapping: IdMapping, root: boolean): readonly string[] {
  // The kernel asks for this one where a namespace's ids are made from uid 0.
  if (mapping.kind === "single") return ["setfcap"];
  return root ? [...new Set([...HOST_CAPABILITIES, ...ROOT_CAPABILITIES, "sys_admin"])] : HOST_CAPABILITIES;
}

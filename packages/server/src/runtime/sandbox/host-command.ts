import { readFile } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { z } from "zod";
import type { HostProgram } from "../host-program.ts";
import { HOST_CAPABILITIES, ROOT_CAPABILITIES } from "./bubblewrap.ts";
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
export function hostCommand(flags: HostFlags, capabilities: readonly string[]): string[] {
  const init = `ulimit -c 0; exec >&${HOST_LOG} 2>&${HOST_LOG} ${HOST_LOG}>&-; "$@" </dev/null & wait $!`;
  const bounds = ["-all", ...capabilities.map((name) => `+${name}`)].join(",");
  return [
    "setpriv",
    "--inh-caps=-all",
    "--ambient-caps=-all",
    `--bounding-set=${bounds}`,
    "--",
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
export function rootPrefix(): readonly string[] {
  const kept = ROOT_CAPABILITIES.flatMap((name) => ["--cap-add", `CAP_${name.toUpperCase()}`]);
  return ["bwrap", ...OWN_VIEW, "--cap-drop", "ALL", ...kept, "--"];
}

/** The same where there is one uid only: a user namespace of their own in which they are the usual uid, and no more. */
export function singlePrefix(filterName: string): readonly string[] {
  const uid = String(COMPUTER.agentUid);
  const wrap = ["--unshare-user", "--uid", uid, "--gid", uid, ...OWN_VIEW, "--cap-drop", "ALL", "--seccomp", "9"];
  return ["sh", "-c", `exec bwrap ${wrap.join(" ")} -- "$@" 9<${FILTERS_INSIDE}/${filterName}`, "agent"];
}

const OWN_VIEW = [
  ...["--unshare-pid", "--dev-bind", "/", "/", "--proc", "/proc"],
  ...["--tmpfs", "/run/raworc", "--tmpfs", COMPUTER.state],
];

/** What the host needs; for root sessions it makes the namespaces and hands on the rest. */
export function hostCapabilities(root: boolean): readonly string[] {
  return root ? [...new Set([...HOST_CAPABILITIES, ...ROOT_CAPABILITIES, "sys_admin"])] : HOST_CAPABILITIES;
}

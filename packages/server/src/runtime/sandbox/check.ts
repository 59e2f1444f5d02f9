import type { DriverCapabilities, DriverCheck } from "../driver.ts";
import { runProgram } from "./programs.ts";
import type { Surroundings } from "./surroundings.ts";

/** What is enforced here. */
export function capabilitiesOf({ cgroups, sized, mapping }: Surroundings): DriverCapabilities {
  const disk = sized ? "disk images" : "no disk limit";
  return {
    limits: {
      cpus: cgroups?.enforced.cpus ?? false,
      memory_mb: cgroups?.enforced.memory_mb ?? false,
      pids: cgroups?.enforced.pids ?? true,
      disk_mb: sized,
    },
    limitsBy: `${cgroups?.version ?? "rlimits (memory for each process, processes for each user inside)"}, ${disk}`,
    separateUids: mapping.kind !== "single",
  };
}

/** Starts the smallest of all sandboxes. Never throws. */
export async function checkSandbox(surroundings: Surroundings): Promise<DriverCheck> {
  const wrap = ["bwrap", "--unshare-all", "--ro-bind", "/usr", "/usr", "--ro-bind", "/", "/", "true"] as const;
  const { ok, complaint } = await runProgram([...wrap]);
  if (!ok) return { ok: false, detail: `bubblewrap does not work here: ${complaint.trim()}. ${await remedyFor()}` };
  const { limitsBy, separateUids } = capabilitiesOf(surroundings);
  const root = surroundings.rootDirectory ?? "this machine's /usr";
  const ids = separateUids
    ? "host and agents have ids of their own"
    : "host and agents share one id, in namespaces of their own (a range in /etc/subuid and /etc/subgid, and uidmap, give them two)";
  const packages = surroundings.identityMount === null ? "; root sessions can't change /usr" : "";
  return { ok: true, detail: `bubblewrap works; root is ${root}; limits by ${limitsBy}; ${ids}${packages}` };
}

/** Why user namespaces fail, on the systems that people have. */
async function remedyFor(): Promise<string> {
  if (process.getuid?.() === 0) {
    return "This may be a container without the right to mount: start it with more privileges, or use the docker driver.";
  }
  const settings = [
    "kernel.apparmor_restrict_unprivileged_userns",
    "kernel.unprivileged_userns_clone",
    "user.max_user_namespaces",
  ];
  const { stdout } = await runProgram(["sysctl", "-e", ...settings]);
  if (/apparmor_restrict_unprivileged_userns = 1/.test(stdout)) {
    return "AppArmor keeps users from making namespaces (as Ubuntu does from 23.10): allow bwrap by a profile, or: sudo sysctl kernel.apparmor_restrict_unprivileged_userns=0";
  }
  if (/unprivileged_userns_clone = 0/.test(stdout)) {
    return "Users may make no namespaces: sudo sysctl kernel.unprivileged_userns_clone=1";
  }
  if (/max_user_namespaces = 0/.test(stdout)) {
    return "User namespaces are switched off: sudo sysctl user.max_user_namespaces=10000";
  }
  return "Start Raworc as root, or use the docker driver.";
}

import type { Component } from "../components.ts";

/** Names of the containers, which there is one set of on an engine. */
export const CONTAINERS = { database: "raworc_mysql", server: "raworc_server", operator: "raworc_operator" } as const;
export const DATABASE_VOLUME = "raworc_mysql_data";
export const DATABASE_PORT = 3307;
export const DATABASE_NAME = "raworc";
/** Where a container finds what it must know and nobody may read in its description. */
export const SETTINGS_PLACE = "/run/raworc/settings";
const PASSWORD_PLACE = "/run/raworc/password";
const DATABASE_FILES = "/var/lib/mysql";

/** What the containers of one home are made of. */
export interface ContainerPlan {
  /** Of this set of containers; the server's own installation has another id. */
  readonly instance: string;
  /** Folder of the machine that server and operator see at the same path. */
  readonly folder: string;
  readonly settingsPath: string;
  readonly passwordPath: string;
  readonly engineSocket: string;
  /** Where the engine keeps volumes: disks of sessions are mounted there. */
  readonly engineVolumes: string;
  /** File of CA certificates on the machine. */
  readonly certificates: string | undefined;
  readonly serverImage: string;
  readonly databaseImage: string;
}

export function labels({ instance }: Pick<ContainerPlan, "instance">): string[] {
  return ["--label", "raworc.managed=true", "--label", `raworc.instance=${instance}`];
}

const bind = (source: string, target: string, more = ""): string[] => [
  "--mount",
  `type=bind,source=${source},target=${target}${more}`,
];

/** Bounded, whatever is written there. */
const LOG_WORDS = ["--log-driver", "local", "--log-opt", "max-size=20m", "--log-opt", "max-file=2"];

/** The words of `docker` that start the database. Its password is in a file, so nothing shows it. */
export function databaseWords(plan: ContainerPlan): string[] {
  return [
    ...["run", "--detach", "--name", CONTAINERS.database, ...labels(plan), ...LOG_WORDS],
    ...["--publish", `127.0.0.1:${DATABASE_PORT}:3306`],
    ...["--mount", `type=volume,source=${DATABASE_VOLUME},target=${DATABASE_FILES}`],
    ...bind(plan.passwordPath, PASSWORD_PLACE, ",readonly"),
    ...["--env", `MYSQL_DATABASE=${DATABASE_NAME}`, "--env", "MYSQL_USER=raworc"],
    ...["--env", `MYSQL_PASSWORD_FILE=${PASSWORD_PLACE}`, "--env", `MYSQL_ROOT_PASSWORD_FILE=${PASSWORD_PLACE}`],
    ...[plan.databaseImage, "--max-allowed-packet=67108864"],
  ];
}

const UNCONFINED = ["--security-opt", "apparmor=unconfined", "--security-opt", "seccomp=unconfined"];
/**
 * What the operator does beyond the engine's calls: mounts disks from files, sets the firewall's rules, and has the kernel take
 * the memory of computers that stand still.
 */
const OPERATOR_RIGHTS = [
  ...["--cap-add", "SYS_ADMIN", "--cap-add", "NET_ADMIN", ...UNCONFINED],
  ...["--mount", "type=bind,source=/dev,target=/dev"],
  // Block devices that are files, and what makes more of them.
  ...["--device-cgroup-rule", "b 7:* rmw", "--device-cgroup-rule", "c 10:237 rw"],
  ...["--cgroupns", "host", "--mount", "type=bind,source=/sys/fs/cgroup,target=/sys/fs/cgroup"],
];
/** To enter the machine's mounts. */
const MACHINE_RIGHTS = ["--cap-add", "SYS_ADMIN", "--cap-add", "SYS_PTRACE", ...UNCONFINED];

/**
 * What server and operator share: the machine's network, since the server listens on a loopback address and the operator
 * fences sessions there; its process numbers, by which they name drafts; the engine's socket. Disks of sessions are mounted
 * by the operator and seen by the engine, the server and later operators, hence the propagation.
 */
function controlPlane(plan: ContainerPlan, component: Component): string[] {
  const isOperator = component === "operator";
  const propagation = `,bind-propagation=${isOperator ? "rshared" : "rslave"}`;
  return [
    ...[...labels(plan), ...LOG_WORDS, "--network", "host", "--pid", "host"],
    ...["--security-opt", "no-new-privileges:true"],
    ...(isOperator ? OPERATOR_RIGHTS : []),
    ...bind(plan.folder, plan.folder, propagation),
    ...bind(plan.engineVolumes, plan.engineVolumes, propagation),
    ...bind(plan.engineSocket, plan.engineSocket),
    ...bind(plan.settingsPath, SETTINGS_PLACE, ",readonly"),
    ...(plan.certificates === undefined ? [] : bind(plan.certificates, plan.certificates, ",readonly")),
    ...["--env", `RAWORC_COMPONENTS=${component}`],
  ];
}

/** The words of `docker` that start a component. */
export function componentWords(plan: ContainerPlan, component: Component): string[] {
  const name = ["--name", CONTAINERS[component]];
  return ["run", "--detach", ...name, ...controlPlane(plan, component), plan.serverImage, "serve"];
}

/** The words of `docker` that run another command of the server's program to its end. */
export function commandWords(plan: ContainerPlan, command: string): string[] {
  return ["run", "--rm", ...controlPlane(plan, "operator"), plan.serverImage, command];
}

/** By the engine's own process, since the machine's first one may be out of reach. */
const ENTER_MACHINE = 'exec nsenter --target "$(pgrep -o -x dockerd || echo 1)" --mount -- sh -c "$@"';

/** The words of `docker` that run a shell's line, with words of its own, among the mounts that the engine sees. */
export function machineWords(plan: ContainerPlan, line: string, ...words: readonly string[]): string[] {
  return [
    ...["run", "--rm", ...labels(plan), ...MACHINE_RIGHTS, "--pid", "host", "--network", "none"],
    ...["--entrypoint", "/bin/sh", plan.serverImage, "-c", ENTER_MACHINE, "sh", line, "sh", ...words],
  ];
}

/** Mounts below the folder are seen by the engine and by each container that has the folder. */
export const SHARE_FOLDER =
  'case $(findmnt -n -o PROPAGATION --target "$1") in *shared*) ;; *) mount --rbind "$1" "$1" && mount --make-rshared "$1" ;; esac';
export const UNSHARE_FOLDER = 'while mountpoint -q "$1"; do umount -R "$1" || exit 1; done';

/** Machine architectures that a system call filter can be made for. */
export type Architecture = "x64" | "arm64";

/** Numbers of a system call; null where the architecture has no such call. */
interface SystemCall {
  readonly x64: number;
  readonly arm64: number | null;
}

const call = <Arm64 extends number | null>(
  x64: number,
  arm64: Arm64,
): { readonly x64: number; readonly arm64: Arm64 } => ({
  x64,
  arm64,
});

/** What no session needs: the kernel's keys, modules, clocks, tracing, swap, and ways around file permissions. */
export const FORBIDDEN = {
  _sysctl: call(156, null),
  acct: call(163, 89),
  add_key: call(248, 217),
  bpf: call(321, 280),
  clock_adjtime: call(305, 266),
  clock_settime: call(227, 112),
  create_module: call(174, null),
  delete_module: call(176, 106),
  fanotify_init: call(300, 262),
  finit_module: call(313, 273),
  get_kernel_syms: call(177, null),
  init_module: call(175, 105),
  io_uring_enter: call(426, 426),
  io_uring_register: call(427, 427),
  io_uring_setup: call(425, 425),
  ioperm: call(173, null),
  iopl: call(172, null),
  kexec_file_load: call(320, 294),
  kexec_load: call(246, 104),
  keyctl: call(250, 219),
  lookup_dcookie: call(212, 18),
  migrate_pages: call(256, 238),
  move_pages: call(279, 239),
  name_to_handle_at: call(303, 264),
  nfsservctl: call(180, 42),
  open_by_handle_at: call(304, 265),
  perf_event_open: call(298, 241),
  query_module: call(178, null),
  quotactl: call(179, 60),
  quotactl_fd: call(443, 443),
  reboot: call(169, 142),
  request_key: call(249, 218),
  settimeofday: call(164, 170),
  swapoff: call(168, 225),
  swapon: call(167, 224),
  sysfs: call(139, null),
  syslog: call(103, 116),
  uselib: call(134, null),
  userfaultfd: call(323, 282),
  ustat: call(136, null),
  vhangup: call(153, 58),
} as const satisfies Record<string, SystemCall>;

/** What changes the view of files, and is harmless only in a namespace of one's own. */
export const MOUNTING = {
  fsconfig: call(431, 431),
  fsmount: call(432, 432),
  fsopen: call(430, 430),
  fspick: call(433, 433),
  mount: call(165, 40),
  mount_setattr: call(442, 442),
  move_mount: call(429, 429),
  open_tree: call(428, 428),
  pivot_root: call(155, 41),
  setns: call(308, 268),
  umount2: call(166, 39),
} as const satisfies Record<string, SystemCall>;

/** Calls whose arguments are looked at. */
export const EXAMINED = {
  clone: call(56, 220),
  clone3: call(435, 435),
  socket: call(41, 198),
  unshare: call(272, 97),
} as const satisfies Record<string, SystemCall>;

/** CLONE_NEWNS, CGROUP, UTS, IPC, USER, PID, NET; and TIME, which `clone` takes for a signal number. */
export const NEW_NAMESPACES = 0x7e020000;
export const NEW_TIME_NAMESPACE = 0x80;
/** Unix, IPv4, IPv6, netlink. Others reach drivers of the machine that know no namespaces, its hypervisor's among them. */
export const SOCKET_FAMILIES: readonly number[] = [1, 2, 10, 16];

/** The numbers on one architecture. */
export function numbersOf(calls: Readonly<Record<string, SystemCall>>, architecture: Architecture): number[] {
  return Object.values(calls).flatMap((numbers) => numbers[architecture] ?? []);
}

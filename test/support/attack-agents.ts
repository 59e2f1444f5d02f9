/** An agent that harms its own computer as its message says. */
const AGENT = `
import { spawn } from "node:child_process";
import { setTimeout as sleep } from "node:timers/promises";

export async function processMessage(message) {
  const [word, rest] = message.split(" ");
  if (word === "hog") for (const all = []; ; ) all.push(Buffer.alloc(8 << 20, 1));
  if (word === "spin") for (const end = Date.now() + Number(rest) * 1000; Date.now() < end; );
  if (word === "flood") {
    const line = "x".repeat(1023) + "\\n";
    for (let written = 0; written < Number(rest); written += 1) {
      if (!process.stdout.write(line.repeat(1024))) await new Promise((resolve) => process.stdout.once("drain", resolve));
    }
  }
  if (word === "deaf") {
    process.on("SIGTERM", () => undefined);
    spawn("sh", ["-c", "trap '' TERM INT HUP; while :; do sleep 1; done"], { detached: true, stdio: "ignore" });
    await sleep(600_000);
  }
  return "did " + word;
}

/** A reply in many pieces. */
export async function* pieces(message) {
  for (let number = 0; number < Number(message); number += 1) yield number + "\\n";
}
`;

export const ATTACK_AGENTS: Readonly<Record<string, string>> = {
  "attacker/raworc.json": JSON.stringify({ runtime: "node", timeout_s: 120 }),
  "attacker/package.json": JSON.stringify({ name: "attacker", version: "1.0.0", type: "module", private: true }),
  "attacker/index.js": AGENT,
  "flood/raworc.json": JSON.stringify({ runtime: "node", handler: "index.pieces", timeout_s: 120 }),
  "flood/package.json": JSON.stringify({ name: "flood", version: "1.0.0", type: "module", private: true }),
  "flood/index.js": AGENT,
};

/**
 * A Python program that tries what reaches out of a computer, and prints the names of what worked. Nothing must. Argument 1
 * is a text that only another session knows, which must be found nowhere.
 */
export const ESCAPES = `
import ctypes, os, shutil, signal, socket, stat, subprocess, sys

libc = ctypes.CDLL(None, use_errno=True)
worked = []

def attempt(name, call):
    try:
        if call() not in (None, False, -1):
            worked.append(name)
    except (OSError, PermissionError, subprocess.SubprocessError, ValueError, AttributeError):
        pass

def opens(path, mode):
    with open(path, mode, buffering=0) as file:
        if "r" in mode:
            return len(file.read(16)) > 0
        return True

def writes(path, text):
    with open(path, "w") as file:
        file.write(text)
    return True

machine = os.uname().machine
numbers = {
    "x86_64": dict(add_key=248, request_key=249, keyctl=250, bpf=321, perf=298, userfaultfd=323, kexec=246, init_module=175, setns=308, pivot_root=155, open_by_handle=304, io_uring=425, swapon=167, reboot=169, unshare=272, mount=165, clone3=435, move_mount=429, fsopen=430, settime=227, acct=163, quotactl=179, iopl=172),
    "aarch64": dict(add_key=217, request_key=218, keyctl=219, bpf=280, perf=241, userfaultfd=282, kexec=104, init_module=105, setns=268, pivot_root=41, open_by_handle=265, io_uring=425, swapon=224, reboot=142, unshare=97, mount=40, clone3=435, move_mount=429, fsopen=430, settime=112, acct=89, quotactl=60),
}.get(machine, {})

def syscall(name, *arguments):
    if name not in numbers:
        return -1
    ctypes.set_errno(0)
    result = libc.syscall(numbers[name], *arguments)
    # A bad address or argument says that the kernel has looked at the call.
    return result if result >= 0 else -1

for flag, name in ((0x10000000, "user"), (0x20000, "mount"), (0x40000000, "network"), (0x20000000, "pid")):
    child = os.fork()
    if child == 0:
        os._exit(0 if syscall("unshare", flag) == 0 else 1)
    if os.waitpid(child, 0)[1] == 0:
        worked.append("unshare " + name)

attempt("mount", lambda: libc.mount(b"none", b"/tmp", b"tmpfs", 0, None) == 0)
attempt("bind mount", lambda: libc.mount(b"/session", b"/mnt", None, 4096, None) == 0)
attempt("remount", lambda: libc.mount(None, b"/", None, 32, None) == 0)
attempt("fsopen", lambda: syscall("fsopen", b"proc", 0))
attempt("bpf", lambda: syscall("bpf", 0, ctypes.byref(ctypes.create_string_buffer(b"\\x02\\0\\0\\0\\x04\\0\\0\\0\\x04\\0\\0\\0\\x01\\0\\0\\0", 72)), 72))
attempt("userfaultfd", lambda: syscall("userfaultfd", 0))
attempt("io_uring", lambda: syscall("io_uring", 4, ctypes.create_string_buffer(120)))
attempt("perf_event", lambda: syscall("perf", ctypes.create_string_buffer(b"\\x01\\0\\0\\0\\x70\\0\\0\\0", 112), -1, 0, -1, 0))
attempt("swapon", lambda: syscall("swapon", b"/session/x", 0) == 0)
attempt("acct", lambda: syscall("acct", b"/session/x") == 0)
attempt("set time", lambda: syscall("settime", 0, ctypes.create_string_buffer(16)) == 0)
attempt("iopl", lambda: syscall("iopl", 3) == 0)
attempt("key made", lambda: syscall("add_key", b"user", b"raworc", sys.argv[1].encode(), len(sys.argv[1]), -4))
attempt("key found", lambda: syscall("request_key", b"user", b"raworc", None, 0))
attempt("keyring", lambda: syscall("keyctl", 0, -4, 1))
attempt("chroot", lambda: libc.chroot(b"/session") == 0)
attempt("setuid", lambda: libc.setuid(0) == 0)
attempt("setgroups", lambda: libc.setgroups(0, None) == 0)
attempt("nice", lambda: libc.setpriority(0, 0, -10) == 0)

for family, kind, name in (
    (socket.AF_INET, socket.SOCK_RAW, "raw socket"),
    (getattr(socket, "AF_PACKET", 17), socket.SOCK_RAW, "packet socket"),
    (getattr(socket, "AF_VSOCK", 40), socket.SOCK_STREAM, "vsock"),
    (38, 5, "kernel crypto"),
):
    attempt(name, lambda: bool(socket.socket(family, kind, 1 if name == "raw socket" else 0)))

PTRACE_ATTACH, PTRACE_SEIZE = 16, 0x4206
for entry in filter(str.isdigit, os.listdir("/proc")):
    owner = os.stat("/proc/" + entry).st_uid if os.path.exists("/proc/" + entry) else os.getuid()
    if owner == os.getuid():
        continue
    pid = int(entry)
    for request, name in ((PTRACE_ATTACH, "attach"), (PTRACE_SEIZE, "seize")):
        attempt("ptrace " + name + " " + entry, lambda: libc.ptrace(request, pid, None, None) == 0)
    for file in ("mem", "environ", "maps", "auxv"):
        attempt(file + " of " + entry, lambda: opens("/proc/" + entry + "/" + file, "rb"))
    attempt("root of " + entry, lambda: bool(os.listdir("/proc/" + entry + "/root/")))
    attempt("files of " + entry, lambda: bool(os.listdir("/proc/" + entry + "/fd")))
    attempt("signal to " + entry, lambda: os.kill(pid, signal.SIGSTOP) is None)
    attempt("memory of " + entry, lambda: writes("/proc/" + entry + "/oom_score_adj", "1000"))

for path in ("/dev/mem", "/dev/kmem", "/dev/kmsg", "/proc/kcore", "/proc/kmsg", "/dev/sda", "/dev/vda", "/dev/fuse", "/dev/kvm", "/dev/loop-control", "/proc/1/environ"):
    attempt("read " + path, lambda: opens(path, "rb"))
for path, text in (
    ("/proc/sysrq-trigger", "h"),
    ("/proc/sys/kernel/core_pattern", "|/bin/true"),
    ("/proc/sys/kernel/modprobe", "/bin/true"),
    ("/proc/sys/net/ipv4/ip_forward", "1"),
    ("/proc/sys/vm/overcommit_memory", "1"),
    ("/sys/kernel/uevent_helper", "/bin/true"),
    ("/sys/power/state", "mem"),
    ("/proc/irq/default_smp_affinity", "1"),
):
    attempt("write " + path, lambda: writes(path, text))
for place, _, files in os.walk("/sys/fs/cgroup") if os.path.isdir("/sys/fs/cgroup") else ():
    for file in files:
        if file in ("cgroup.procs", "tasks", "release_agent", "memory.max", "memory.limit_in_bytes", "pids.max"):
            attempt("write " + place + "/" + file, lambda: writes(os.path.join(place, file), "0"))
for kind, device, name in ((stat.S_IFBLK, os.makedev(8, 0), "block"), (stat.S_IFCHR, os.makedev(1, 1), "memory")):
    attempt("device " + name, lambda: os.mknod("/session/workspace/device-" + name, kind | 0o666, device) is None)

for place in ("/session/workspace", "/tmp", "/dev/shm"):
    shell = os.path.join(place, "shell")
    try:
        shutil.copy("/bin/sh", shell)
        os.chmod(shell, 0o6755)
        shown = subprocess.run([shell, "-p", "-c", "id -u"], capture_output=True, text=True).stdout.strip()
        if shown == "0":
            worked.append("setuid program in " + place)
    except OSError:
        pass
for program in ("su", "sudo", "newgrp", "mount", "pkexec"):
    path = shutil.which(program)
    if path:
        shown = subprocess.run([path, "-c", "id -u"], capture_output=True, text=True, stdin=subprocess.DEVNULL).stdout.strip()
        if shown == "0":
            worked.append(program)

# Sockets without a place in the file system belong to a network, memory and queues to a space of their own.
attempt("another's abstract socket", lambda: socket.socket(socket.AF_UNIX).connect("\\0raworc-canary") is None)
attempt("another's shared memory", lambda: libc.shmget(0x5241574F, 0, 0))
for path in ("/var/run/docker.sock", "/run/docker.sock", "/run/containerd/containerd.sock", "/var/run/mysqld/mysqld.sock", "/run/dbus/system_bus_socket"):
    attempt("socket " + path, lambda: socket.socket(socket.AF_UNIX).connect(path) is None)

found = subprocess.run(
    ["grep", "-rIlsF", sys.argv[1], "/session", "/tmp", "/var/tmp", "/run", "/mnt", "/media", "/srv", "/dev/shm", "/dev/mqueue"],
    capture_output=True, text=True, timeout=60,
).stdout.strip()
if found:
    worked.append("read " + found)
print("\\n".join(worked))
`;

/** What another session leaves where a neighbour might look. Argument 1 is the text to hide. */
export const CANARY = `
import ctypes, os, socket, sys, time
libc = ctypes.CDLL(None)
for place in ("/session/workspace", "/tmp", "/dev/shm", "/var/tmp"):
    try:
        with open(os.path.join(place, "canary"), "w") as file:
            file.write(sys.argv[1])
    except OSError:
        pass
libc.shmget(0x5241574F, 4096, 0o1666)
server = socket.socket(socket.AF_UNIX)
server.bind("\\0raworc-canary")
server.listen()
print("hidden", flush=True)
time.sleep(600)
`;

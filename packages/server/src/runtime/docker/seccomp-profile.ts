import { NEW_NAMESPACES, NEW_TIME_NAMESPACE, SOCKET_FAMILIES } from "../system-calls.ts";
import { ALLOWED_CALLS } from "./allowed-calls.ts";

const ALLOW = "SCMP_ACT_ALLOW";
const REFUSE = "SCMP_ACT_ERRNO";
const ENOSYS = 38;
/** Linux, without randomized addresses, with those of old programs, with both; and the question which it is. */
const PERSONALITIES = [0x0, 0x8, 0x20000, 0x20008, 0xffffffff];

const ARCHITECTURES: Readonly<Partial<Record<NodeJS.Architecture, string>>> = {
  x64: "SCMP_ARCH_X86_64",
  arm64: "SCMP_ARCH_AARCH64",
};

interface Argument {
  readonly value: number;
  readonly valueTwo?: number;
  readonly op: "SCMP_CMP_EQ" | "SCMP_CMP_MASKED_EQ";
}

const allow = (name: string, argument: Argument): object => ({
  names: [name],
  action: ALLOW,
  args: [{ index: 0, valueTwo: 0, ...argument }],
});

/** Only where all bits of the mask are clear. */
const without = (name: string, mask: number): object =>
  allow(name, { value: mask, valueTwo: 0, op: "SCMP_CMP_MASKED_EQ" });

const only = (name: string, values: readonly number[]): object[] =>
  values.map((value) => allow(name, { value, op: "SCMP_CMP_EQ" }));

/**
 * The system call filter of containers, as the engine takes it. The engine's own depends on its version: old ones leave io_uring
 * and the sockets of a hypervisor open. Calls of another architecture than the machine's end the process. Undefined on machines
 * that are not known here, where the engine's own has to do.
 */
export function seccompProfile(machine: NodeJS.Architecture): string | undefined {
  const architecture = ARCHITECTURES[machine];
  if (architecture === undefined) return undefined;
  return JSON.stringify({
    defaultAction: REFUSE,
    architectures: [architecture],
    syscalls: [
      { names: ALLOWED_CALLS, action: ALLOW },
      ...only("personality", PERSONALITIES),
      ...only("socket", SOCKET_FAMILIES),
      without("clone", NEW_NAMESPACES),
      without("unshare", NEW_NAMESPACES | NEW_TIME_NAMESPACE),
      // Its flags lie in memory, where no filter sees them; the C library falls back to `clone`.
      { names: ["clone3"], action: REFUSE, errnoRet: ENOSYS },
    ],
  });
}

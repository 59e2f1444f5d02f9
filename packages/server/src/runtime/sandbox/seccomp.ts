import { DriverError } from "../driver.ts";
import {
  type Architecture,
  EXAMINED,
  FORBIDDEN,
  MOUNTING,
  NEW_NAMESPACES,
  NEW_TIME_NAMESPACE,
  numbersOf,
  SOCKET_FAMILIES,
} from "../system-calls.ts";

export interface FilterOptions {
  readonly architecture: Architecture;
  /** Whether new namespaces, and mounts in them, may be made. */
  readonly namespaces: boolean;
}

// Instructions of the classic packet filter, and the places in `struct seccomp_data`.
const LOAD_WORD = 0x20;
const JUMP_IF_EQUAL = 0x15;
const JUMP_IF_AT_LEAST = 0x35;
const JUMP_IF_ANY_BIT = 0x45;
const RETURN = 0x06;
const NUMBER_AT = 0;
const ARCHITECTURE_AT = 4;
/** Low half of the first argument, on machines that keep the low half first. */
const ARGUMENT_AT = 16;

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const EAFNOSUPPORT = 0x00050061;

/** As the kernel's audit subsystem numbers them. */
const AUDIT = { x64: 0xc000003e, arm64: 0xc00000b7 } as const;
/** Calls of the x32 kind bear this bit; nothing uses them. */
const X32_BIT = 0x40000000;

interface Instruction {
  readonly code: number;
  readonly value: number;
  readonly ifTrue?: number;
  readonly ifFalse?: number;
}

const load = (value: number): Instruction => ({ code: LOAD_WORD, value });
const give = (value: number): Instruction => ({ code: RETURN, value });

/** Refuses each of these calls. */
function refuse(numbers: readonly number[], answer: number): Instruction[] {
  return numbers.flatMap((number) => [{ code: JUMP_IF_EQUAL, value: number, ifTrue: 0, ifFalse: 1 }, give(answer)]);
}

/** Runs `body` for one call; it must return in the end. */
function examine(number: number, body: readonly Instruction[]): Instruction[] {
  return [{ code: JUMP_IF_EQUAL, value: number, ifTrue: 0, ifFalse: body.length }, ...body];
}

function refuseFlags(flags: number): Instruction[] {
  return [load(ARGUMENT_AT), { code: JUMP_IF_ANY_BIT, value: flags, ifTrue: 0, ifFalse: 1 }, give(EPERM), give(ALLOW)];
}

function allowOnly(values: readonly number[], answer: number): Instruction[] {
  const checks = values.flatMap((value) => [{ code: JUMP_IF_EQUAL, value, ifTrue: 0, ifFalse: 1 }, give(ALLOW)]);
  return [load(ARGUMENT_AT), ...checks, give(answer)];
}

/**
 * A system call filter for bubblewrap: everything is allowed but what a session has no business with. `ptrace` stays, since
 * the kernel allows it among processes of one uid only.
 */
export function makeFilter({ architecture, namespaces }: FilterOptions): Uint8Array {
  const number = (name: keyof typeof EXAMINED): number => EXAMINED[name][architecture];
  const withoutNamespaces = [
    ...refuse(numbersOf(MOUNTING, architecture), EPERM),
    // Its flags lie in memory, where no filter sees them; the C library falls back to `clone`.
    ...refuse([number("clone3")], ENOSYS),
    ...examine(number("clone"), refuseFlags(NEW_NAMESPACES)),
    ...examine(number("unshare"), refuseFlags(NEW_NAMESPACES | NEW_TIME_NAMESPACE)),
  ];
  const program: Instruction[] = [
    load(ARCHITECTURE_AT),
    { code: JUMP_IF_EQUAL, value: AUDIT[architecture], ifTrue: 1, ifFalse: 0 },
    give(KILL),
    load(NUMBER_AT),
    ...(architecture === "x64"
      ? [{ code: JUMP_IF_AT_LEAST, value: X32_BIT, ifTrue: 0, ifFalse: 1 }, give(ENOSYS)]
      : []),
    ...refuse(numbersOf(FORBIDDEN, architecture), EPERM),
    ...(namespaces ? [] : withoutNamespaces),
    ...examine(number("socket"), allowOnly(SOCKET_FAMILIES, EAFNOSUPPORT)),
    give(ALLOW),
  ];
  return encode(program);
}

/** Each instruction is `struct sock_filter`: 16 bits of code, two jumps of 8 bits, 32 bits of value. */
function encode(program: readonly Instruction[]): Uint8Array {
  const bytes = new DataView(new ArrayBuffer(program.length * 8));
  program.forEach(({ code, value, ifTrue = 0, ifFalse = 0 }, index) => {
    bytes.setUint16(index * 8, code, true);
    bytes.setUint8(index * 8 + 2, ifTrue);
    bytes.setUint8(index * 8 + 3, ifFalse);
    bytes.setUint32(index * 8 + 4, value, true);
  });
  return new Uint8Array(bytes.buffer);
}

/** Throws DriverError on a machine whose system calls are not known here. */
export function architectureOf(name: string): Architecture {
  if (name === "x64" || name === "arm64") return name;
  throw new DriverError(`The sandbox driver knows no system calls of ${name} machines. Use the docker driver.`, {
    transient: false,
  });
}

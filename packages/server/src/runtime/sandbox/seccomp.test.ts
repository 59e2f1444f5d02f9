import { describe, expect, it } from "vitest";
import type { Architecture } from "../system-calls.ts";
import { makeFilter } from "./seccomp.ts";

const ALLOW = 0x7fff0000;
const KILL = 0x80000000;
const EPERM = 0x00050001;
const ENOSYS = 0x00050026;
const EAFNOSUPPORT = 0x00050061;
const MACHINES = { x64: 0xc000003e, arm64: 0xc00000b7, i386: 0x40000003 };

/** Runs a filter as the kernel would, for one call. */
function decide(filter: Uint8Array, machine: number, call: number, argument = 0): number {
  const program = new DataView(filter.buffer, filter.byteOffset, filter.byteLength);
  const data: Record<number, number> = { 0: call, 4: machine, 16: argument };
  let accumulator = 0;
  for (let at = 0; at * 8 < program.byteLength; at += 1) {
    const code = program.getUint16(at * 8, true);
    const value = program.getUint32(at * 8 + 4, true);
    const jump = (met: boolean): number => program.getUint8(at * 8 + (met ? 2 : 3));
    if (code === 0x06) return value;
    if (code === 0x20) accumulator = data[value] ?? Number.NaN;
    else if (code === 0x15) at += jump(accumulator === value);
    else if (code === 0x35) at += jump(accumulator >= value);
    else if (code === 0x45) at += jump((accumulator & value) !== 0);
    else throw new Error(`No such instruction: ${code}`);
  }
  throw new Error("The filter ends without an answer");
}

describe("the system call filter", () => {
  const calls = {
    x64: { read: 0, mount: 165, keyctl: 250, bpf: 321, clone: 56, clone3: 435, unshare: 272, socket: 41, ptrace: 101 },
    arm64: {
      read: 63,
      mount: 40,
      keyctl: 219,
      bpf: 280,
      clone: 220,
      clone3: 435,
      unshare: 97,
      socket: 198,
      ptrace: 117,
    },
  };
  const NEW_USER = 0x10000000;
  const THREAD = 0x003d0f00;

  it.each(["x64", "arm64"] as const)("refuses what reaches into the kernel on %s", (architecture: Architecture) => {
    const filter = makeFilter({ architecture, namespaces: false });
    const answer = (call: keyof (typeof calls)["x64"], argument?: number) =>
      decide(filter, MACHINES[architecture], calls[architecture][call], argument);
    expect(answer("read")).toBe(ALLOW);
    expect(answer("ptrace")).toBe(ALLOW);
    for (const call of ["mount", "keyctl", "bpf"] as const) expect(answer(call), call).toBe(EPERM);
    expect(answer("clone", THREAD)).toBe(ALLOW);
    expect(answer("clone", NEW_USER | 17)).toBe(EPERM);
    expect(answer("unshare", NEW_USER)).toBe(EPERM);
    expect(answer("unshare", 0x400)).toBe(ALLOW);
    expect(answer("clone3")).toBe(ENOSYS);
    expect([1, 2, 10, 16].map((family) => answer("socket", family))).toEqual(Array(4).fill(ALLOW));
    // AF_PACKET, AF_ALG, AF_VSOCK.
    expect([17, 38, 40].map((family) => answer("socket", family))).toEqual(Array(3).fill(EAFNOSUPPORT));
  });

  it("lets namespaces be made where it is told to, and nothing more", () => {
    const filter = makeFilter({ architecture: "x64", namespaces: true });
    expect(decide(filter, MACHINES.x64, calls.x64.clone, NEW_USER)).toBe(ALLOW);
    expect(decide(filter, MACHINES.x64, calls.x64.mount)).toBe(ALLOW);
    expect(decide(filter, MACHINES.x64, calls.x64.bpf)).toBe(EPERM);
  });

  it("leaves no way around by another kind of call", () => {
    const filter = makeFilter({ architecture: "x64", namespaces: false });
    expect(decide(filter, MACHINES.i386, 5)).toBe(KILL);
    expect(decide(filter, MACHINES.x64, 0x40000000 | 165)).toBe(ENOSYS);
  });
});

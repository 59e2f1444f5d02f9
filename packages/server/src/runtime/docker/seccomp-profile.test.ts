import { expect, test } from "vitest";
import { FORBIDDEN, MOUNTING } from "../system-calls.ts";
import { seccompProfile } from "./seccomp-profile.ts";

test("what the sandbox refuses is nowhere allowed, and calls that are looked at are allowed in part", () => {
  const { defaultAction, syscalls } = JSON.parse(seccompProfile("x64") ?? "");
  expect(defaultAction).toBe("SCMP_ACT_ERRNO");
  const allowed: { names: string[]; args?: object[] }[] = syscalls.filter(
    ({ action }: { action: string }) => action === "SCMP_ACT_ALLOW",
  );
  const names = allowed.flatMap((rule) => rule.names);
  for (const name of [...Object.keys(FORBIDDEN), ...Object.keys(MOUNTING), "clone3"]) {
    expect(names).not.toContain(name);
  }
  for (const name of ["clone", "socket", "unshare", "personality"]) {
    for (const rule of allowed.filter((each) => each.names.includes(name))) expect(rule.args).toHaveLength(1);
  }
});

test("a machine that isn't known keeps the engine's own profile", () => {
  expect(seccompProfile("s390x")).toBeUndefined();
});

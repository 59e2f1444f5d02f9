import { execFileSync } from "node:child_process";
import { request } from "node:http";
import { describe, type TestContext } from "vitest";
import { findDatabaseProduct } from "./database-products.ts";

/** Real things that a suite may need and a machine may lack. */
export type Requirement = "docker" | "sandbox" | "python" | "cargo" | "mariadb";

function succeeds(program: string, args: string[]): boolean {
  try {
    execFileSync(program, args, { stdio: "ignore", timeout: 20_000 });
    return true;
  } catch {
    return false;
  }
}

/** An engine counts when it answers and has the session image; a client on the PATH says nothing. */
async function engineAnswers(): Promise<boolean> {
  return new Promise((resolve) => {
    const path = "/images/raworc_session:dev/json";
    const call = request({ socketPath: "/var/run/docker.sock", path, timeout: 5000 }, (answer) => {
      answer.resume();
      resolve(answer.statusCode === 200);
    });
    call.on("error", () => resolve(false));
    call.on("timeout", () => call.destroy(new Error("no answer")));
    call.end();
  });
}

const found: Record<Requirement, boolean> = {
  docker: await engineAnswers(),
  sandbox: succeeds("bwrap", ["--unshare-all", "--ro-bind", "/", "/", "true"]),
  python: succeeds("python3", ["--version"]),
  // Rustup's, first on the PATH, may belong to another home; sandboxes have the system's all the same.
  cargo: succeeds("cargo", ["--version"]) || succeeds("/usr/bin/cargo", ["--version"]),
  mariadb: findDatabaseProduct() !== undefined,
};

export function has(requirement: Requirement): boolean {
  return found[requirement];
}

/**
 * A suite that needs real parts. Where one is missing the suite is skipped with a loud line;
 * with CI=true a skipped suite is a failure.
 */
export function describeWith(requirements: readonly Requirement[], name: string, body: () => void): void {
  const missing = requirements.filter((requirement) => !found[requirement]);
  if (missing.length === 0) {
    describe(name, body);
    return;
  }
  const reason = `SKIPPED: ${name}: needs ${missing.join(" and ")}, not found on this machine`;
  if (process.env["CI"] === "true") {
    describe(name, () => {
      throw new Error(reason);
    });
    return;
  }
  process.stderr.write(`\n!!! ${reason}\n\n`);
  describe.skip(name, body);
}

/** Skips a test loudly where the machine lacks what it is about; with CI=true that is a failure. */
export function skipWithout(there: boolean, test: TestContext, what: string): void {
  if (there) return;
  const reason = `SKIPPED: ${test.task.name}: needs ${what}, not found on this machine`;
  if (process.env["CI"] === "true") throw new Error(reason);
  process.stderr.write(`\n!!! ${reason}\n\n`);
  test.skip();
}

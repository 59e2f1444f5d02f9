import { execFileSync } from "node:child_process";
import { readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import type { TestServer } from "./test-server.ts";

type Runtime = "docker" | "sandbox";

function docker(...parameters: string[]): string {
  return execFileSync("docker", parameters, { encoding: "utf8" }).trim();
}

function instanceOf(server: TestServer): string {
  const database = new DatabaseSync(join(server.home, "data", "raworc.db"), { readOnly: true });
  try {
    const row = database.prepare("select value from settings where name = 'instance'").get();
    return String(row?.["value"]);
  } finally {
    database.close();
  }
}

function sandboxComputers(server: TestServer): string {
  const parent = join(server.home, "data", "sandbox");
  const [installation = ""] = readdirSync(parent);
  return join(parent, installation, "computers");
}

/** Ids of the session computers that are really there, running or not, for one server. */
export function computersOf(runtime: Runtime, server: TestServer): string[] {
  if (runtime === "sandbox") return readdirSync(sandboxComputers(server));
  const filters = ["--filter", `label=raworc.instance=${instanceOf(server)}`, "--filter", "label=raworc.session"];
  const lines = docker("ps", "--all", "--format", '{{.Label "raworc.session"}}', ...filters);
  return lines === "" ? [] : lines.split("\n");
}

/** Ends a session's computer as a machine's trouble would. */
export function killComputer(runtime: Runtime, server: TestServer, id: string): void {
  if (runtime === "docker") {
    docker("kill", "--signal", "KILL", `raworc_session_${id}`);
    return;
  }
  const record = JSON.parse(readFileSync(join(sandboxComputers(server), id, "record.json"), "utf8"));
  process.kill(record.init.pid, "SIGKILL");
}

/** Processes above a sandbox's, up to that of the server that has started it. */
export function ancestorsOf(server: TestServer, id: string): number[] {
  const record = JSON.parse(readFileSync(join(sandboxComputers(server), id, "record.json"), "utf8"));
  const ancestors: number[] = [];
  for (let pid: number = record.monitor.pid; pid > 1; ) {
    const status = readFileSync(`/proc/${pid}/status`, "utf8");
    pid = Number(/^PPid:\s+(\d+)/m.exec(status)?.[1] ?? 0);
    ancestors.push(pid);
  }
  return ancestors;
}

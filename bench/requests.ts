import { type ChildProcess, execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, open, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@raworc/client";
import { API_BASE } from "@raworc/contract";
import { SERVER_NODE_FLAGS } from "../packages/server/src/node-flags.ts";
import { figuresOf } from "./figures.ts";
import { runLoad } from "./load.ts";
import type { Report } from "./report.ts";
import type { Runtime } from "./target.ts";

const ROUNDS = 7;
const ROUND_MS = 1500;
const CONNECTIONS = 16;
const READERS = 4;
const WRITERS = 4;
const MAIN = new URL("../packages/server/src/main.ts", import.meta.url).pathname;
const BARE = new URL("bare-server.ts", import.meta.url).pathname;

/** What authentication, rights, records and logs cost beside HTTP itself, with each server on one core of its own turn. */
export async function benchRequests(runtime: Runtime, report: Report): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "raworc-bench-"));
  const log = await open(join(home, "log"), "a");
  const children: ChildProcess[] = [];
  const start = (program: string, environment: Record<string, string>, flags: readonly string[] = []): ChildProcess => {
    const child = spawn(process.execPath, [...flags, program], {
      env: { PATH: process.env["PATH"] ?? "", HOME: process.env["HOME"] ?? "/root", ...environment },
      stdio: ["ignore", log.fd, log.fd, "ipc"],
    });
    children.push(child);
    return child;
  };
  try {
    const settings = {
      ...SERVER_NODE_FLAGS.environment,
      RAWORC_HOME: home,
      RAWORC_PORT: "0",
      RAWORC_RUNTIME: runtime,
      // All requests are one principal's.
      RAWORC_RATE_LIMIT: "0",
    };
    const server = start(MAIN, settings, SERVER_NODE_FLAGS.arguments);
    const [{ url }] = (await once(server, "message")) as [{ url: string }];
    const client = createClient({ server: url });
    const { token } = await client.call("auth.login", { body: { user: "admin", pass: "admin" } });
    const admin = createClient({ server: url, token });
    const { id } = await admin.call("sessions.create", { body: { name: "bench" } });
    const path = `${API_BASE}/sessions/${id}`;
    const answer = await admin.raw(path);
    const text = await answer.text();
    const type = { "content-type": answer.headers.get("content-type") ?? "" };
    const barePort = async (headers: Record<string, string>) => {
      const bare = start(BARE, {});
      bare.send({ path: `${API_BASE}/sessions/:id`, headers, text });
      return ((await once(bare, "message")) as [{ port: number }])[0].port;
    };
    const floors = [
      {
        name: "a bare Fastify route with the same bytes",
        port: await barePort(sentHeaders(answer)),
        rates: [] as number[],
      },
      { name: "one with the same body alone", port: await barePort(type), rates: [] as number[] },
    ];
    for (const child of children) pin(child);

    const request = `GET ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n\r\n`;
    const round = (port: number, milliseconds = ROUND_MS) =>
      runLoad({ port, request, connections: CONNECTIONS, milliseconds });
    const port = Number(new URL(url).port);
    for (const each of [port, ...floors.map((floor) => floor.port)]) await round(each, 2 * ROUND_MS);
    const own: number[] = [];
    for (let count = 0; count < ROUNDS; count += 1) {
      own.push((await round(port)).perSecond);
      for (const floor of floors) floor.rates.push((await round(floor.port)).perSecond);
    }
    const median = (all: readonly number[]) => figuresOf(all).p50;
    for (const [index, { name, rates }] of floors.entries()) {
      const goal = index === 0 ? { goal: "≥ 0.60 ×" } : {};
      const floor = { name, value: median(rates) };
      report.value("GET /sessions/{id}, whole path, one core", "per s", median(own), { floor, ...goal });
      const ratio = median(own.map((rate, round) => rate / (rates[round] ?? Number.NaN)));
      report.value("  the same as the median of the rounds' ratios", "×", ratio, goal);
    }
    await benchReadsUnderWrites(report, { port, request, token, path });
  } finally {
    for (const child of children) {
      child.kill("SIGTERM");
      await once(child, "exit");
    }
    const reset = spawn(process.execPath, [MAIN, "reset"], {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: process.env["HOME"] ?? "/root",
        RAWORC_HOME: home,
        RAWORC_RUNTIME: runtime,
      },
      stdio: "ignore",
    });
    await once(reset, "exit");
    await log.close();
    await rm(home, { recursive: true, force: true });
  }
}

interface Reading {
  readonly port: number;
  readonly request: string;
  readonly token: string;
  readonly path: string;
}

async function benchReadsUnderWrites(report: Report, { path, port, request, token }: Reading): Promise<void> {
  const milliseconds = 5000;
  const read = () => runLoad({ port, request, connections: READERS, milliseconds });
  const body = JSON.stringify({ metadata: { text: "x".repeat(500) } });
  const change =
    `PUT ${path} HTTP/1.1\r\nHost: localhost\r\nAuthorization: Bearer ${token}\r\n` +
    `Content-Type: application/json\r\nContent-Length: ${Buffer.byteLength(body)}\r\n\r\n${body}`;
  report.times(`${READERS} readers alone`, (await read()).times);
  const [reads, writes] = await Promise.all([
    read(),
    runLoad({ port, request: change, connections: WRITERS, milliseconds }),
  ]);
  report.times(`${READERS} readers beside ${WRITERS} writers`, reads.times, { goal: "p99 is told" });
  report.value("  the writers' changes meanwhile", "per s", writes.perSecond);
}

/** Headers of an answer that its handler has set; Node.js adds the others to any. */
function sentHeaders(answer: Response): Record<string, string> {
  const own = ["connection", "content-length", "date", "keep-alive"];
  return Object.fromEntries([...answer.headers].filter(([name]) => !own.includes(name)));
}

/** All threads of a process on the first core; the load is made on another. */
function pin({ pid }: ChildProcess): void {
  execFileSync("taskset", ["-acp", "0", String(pid)], { stdio: "ignore" });
}

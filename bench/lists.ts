import { spawn } from "node:child_process";
import { once } from "node:events";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { createClient } from "@raworc/client";
import { insertRows } from "../packages/server/src/store/insert-rows.ts";
import { insertSession } from "../packages/server/src/store/sessions.ts";
import { findSpace } from "../packages/server/src/store/spaces.ts";
import { openStore } from "../packages/server/src/store/store.ts";
import { has } from "../test/support/requirements.ts";
import { figuresOf, measure } from "./figures.ts";
import type { Report } from "./report.ts";

const MESSAGES = 1_000_000;
const SESSIONS = 100_000;
const PAGE = 100;
const RUNS = 60;
const PACK = 2000;
const MAIN = new URL("../packages/server/src/main.ts", import.meta.url).pathname;

/** Pages of long lists from both ends, through the API: the thousandth costs what the first does. */
export async function benchLists(report: Report): Promise<void> {
  const home = await mkdtemp(join(tmpdir(), "raworc-bench-"));
  try {
    const id = await fill(join(home, "data", "raworc.db"));
    const server = spawn(process.execPath, [MAIN], {
      env: {
        PATH: process.env["PATH"] ?? "",
        HOME: process.env["HOME"] ?? "/root",
        RAWORC_HOME: home,
        RAWORC_PORT: "0",
        RAWORC_RUNTIME: has("sandbox") ? "sandbox" : "docker",
        RAWORC_LOG_LEVEL: "error",
      },
      stdio: ["ignore", "ignore", "inherit", "ipc"],
    });
    try {
      const [{ url }] = (await once(server, "message")) as [{ url: string }];
      const login = await createClient({ server: url }).call("auth.login", { body: { user: "admin", pass: "admin" } });
      const client = createClient({ server: url, token: login.token });
      const page = async (path: string) => {
        const answer = await client.raw(path);
        const count = ((await answer.json()) as unknown[]).length;
        if (count !== PAGE) throw new Error(`${path} gave ${count} rows, status ${answer.status}`);
        return answer.headers.get("link");
      };
      const messages = `sessions/${id}/messages?limit=${PAGE}`;
      await compare(report, "messages, from the first", [
        () => page(`${messages}&after=0`),
        () => page(`${messages}&after=${999 * PAGE}`),
        () => page(`${messages}&after=${MESSAGES - PAGE}`),
      ]);
      await compare(report, "messages, from the newest", [
        () => page(messages),
        () => page(`${messages}&before=${MESSAGES + 1 - 999 * PAGE}`),
        () => page(`${messages}&before=${PAGE + 1}`),
      ]);
      const sessions = `sessions?limit=${PAGE}&deleted=true`;
      const deep = await walk(sessions, 998, page);
      await compare(report, "sessions, newest first", [() => page(sessions), () => page(deep)]);
    } finally {
      server.kill("SIGTERM");
      await once(server, "exit");
    }
  } finally {
    await rm(home, { recursive: true, force: true });
  }
}

/** Measures in turns, so that the machine's moods meet all pages alike. */
async function compare(report: Report, name: string, pages: readonly (() => Promise<unknown>)[]): Promise<void> {
  const times: number[][] = pages.map(() => []);
  for (let run = 0; run < RUNS; run += 1) {
    for (const [index, read] of pages.entries()) times[index]?.push(...(await measure(1, read, 0)));
  }
  const places = ["page 1", "page 1,000", "the last page"];
  const first = figuresOf(times[0] ?? []).p50;
  for (const [index, all] of times.entries()) {
    const floor = index === 0 ? {} : { floor: { name: "page 1", value: first }, goal: "≤ 2 ×" };
    report.times(`${name}: ${places[index]}`, all, floor);
  }
}

/** The path of a page so many pages further on. */
async function walk(path: string, pages: number, read: (path: string) => Promise<string | null>): Promise<string> {
  let next = path;
  for (let count = 0; count < pages; count += 1) {
    const link = /<\/api\/v0\/([^>]+)>; rel="next"/.exec((await read(next)) ?? "")?.[1];
    if (link === undefined) throw new Error(`There is no page after ${next}`);
    next = link;
  }
  return next;
}

/** A database with a million messages in one session, and as many sessions as make a thousand pages. Gives the session's id. */
async function fill(path: string): Promise<string> {
  const store = await openStore({ kind: "sqlite", path });
  try {
    const { ensureDefaultSpace } = await import("../packages/server/src/store/spaces.ts");
    await store.write(ensureDefaultSpace);
    const space = await findSpace(store.read, "default");
    if (space === undefined) throw new Error("There is no default space");
    const session = {
      spaceId: space.id,
      name: null,
      createdBy: "admin",
      ownerId: "admin",
      buildId: null,
      limits: { cpus: 1, memory_mb: 64, disk_mb: 64, pids: 16 },
      network: { mode: "none" },
      metadata: {},
    } as const;
    const { id } = await store.write((transaction) => insertSession(transaction, session));
    await store.write((transaction) =>
      transaction
        .updateTable("sessions")
        .set({ state: "paused", tier: "stopped", last_seq: MESSAGES })
        .where("id", "=", id)
        .execute(),
    );
    const template = await store.read.selectFrom("sessions").selectAll().where("id", "=", id).executeTakeFirstOrThrow();
    for (let from = 0; from < MESSAGES; from += PACK) {
      await store.write((transaction) => insertRows(transaction, "messages", messageRows(id, from)));
    }
    for (let from = 0; from < SESSIONS; from += PACK) {
      const rows = Array.from({ length: PACK }, (_, index) => ({
        ...template,
        ...DELETED,
        id: uuid(from + index),
        created_at: timeAt(from + index),
        terminated_at: timeAt(from + index),
      }));
      await store.write((transaction) => insertRows(transaction, "sessions", rows));
    }
    return id;
  } finally {
    await store.close();
  }
}

const DELETED = { state: "deleted", desired: "removed", last_seq: 0, termination_reason: "bench" } as const;

const uuid = (number: number) => `018f0000-0000-7000-8000-${number.toString(16).padStart(12, "0")}`;
const timeAt = (number: number) => new Date(Date.UTC(2026, 0, 1) + number * 1000).toISOString();

function messageRows(sessionId: string, from: number) {
  return Array.from({ length: PACK }, (_, index) => ({
    id: uuid(from + index),
    session_id: sessionId,
    seq: from + index + 1,
    role: index % 2 === 0 ? ("user" as const) : ("agent" as const),
    agent: "bench",
    in_reply_to: null,
    content: "A message of some words, as people write them.",
    metadata: "{}",
    status: "done" as const,
    error: null,
    cancel_requested: 0,
    created_at: timeAt(from + index),
  }));
}

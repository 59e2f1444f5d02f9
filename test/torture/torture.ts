import { setTimeout as sleep } from "node:timers/promises";
import { createClient } from "@raworc/client";
import { DatabaseServer } from "../support/database-server.ts";
import { deployAgents } from "../support/deploy.ts";
import { Repository } from "../support/repository.ts";
import { type Client, TestServer } from "../support/test-server.ts";
import { COUNTER_AGENT } from "./counter-agent.ts";
import { History } from "./history.ts";
import { checkRecords } from "./invariants.ts";
import { Ledger } from "./ledger.ts";
import { Machine } from "./machine.ts";
import { Random } from "./random.ts";
import { killDatabase, killInside, killServers } from "./trouble.ts";
import { SPACE, User } from "./user.ts";

export interface TortureOptions {
  readonly runtime: "docker" | "sandbox";
  readonly database: "sqlite" | "mariadb";
  readonly seconds: number;
  readonly seed: number;
  /** How many use a session each at the same time. */
  readonly users: number;
}

/** From the last action to the end of the last message, and of the last removal. */
const SETTLE_MS = 120_000;

/**
 * A steady load on many sessions while servers, hosts, workers and the database are killed; then everything that was
 * promised is checked. What was broken is in the history's `violations`.
 */
export async function torture(options: TortureOptions): Promise<History> {
  const history = new History();
  const random = new Random(options.seed);
  const repository = new Repository(COUNTER_AGENT);
  const database = options.database === "mariadb" ? await DatabaseServer.start() : undefined;
  const environment = database === undefined ? {} : { DATABASE_URL: await database.database() };
  const server = await TestServer.start({ runtime: options.runtime, environment });
  const machine = new Machine(options.runtime, server.home);
  try {
    const { token } = await createClient({ server: server.url }).call("auth.login", {
      body: { user: "admin", pass: "admin" },
    });
    const client = createClient({ server: server.url, token, reconnect: { mostDelayMs: 300 } });
    await prepare(client, repository.path, machine);
    const ledger = new Ledger(client, history, random.fork());
    await live({ options, server, database, machine, ledger, history, random, client });
    await settle(client, ledger, machine, history);
    await ledger.close();
    await checkRecords({ client, ledger, history });
  } finally {
    history.addServerLog(server.log());
    await server.destroy().catch((error: unknown) => history.violation(`the installation can't be removed: ${error}`));
    await database?.destroy();
    repository.remove();
  }
  for (const { kind, text } of machine.remains()) history.violation(`a ${kind} is left at the end: ${text}`);
  return history;
}

async function prepare(client: Client, repository: string, machine: Machine): Promise<void> {
  const settings = { idle: { freeze_after_s: 1, stop_after_s: 2 }, warm_pool: 1 };
  await client.call("spaces.create", { body: { name: SPACE } });
  await deployAgents(client, repository, { counter: null }, SPACE);
  const first = await client.call("sessions.create", { body: { space: SPACE, wait: "ready" } });
  machine.learn(first.id);
  await client.call("sessions.delete", { params: { id: first.id } });
  await client.call("spaces.update", { params: { space: SPACE }, body: { settings } });
}

interface Life {
  readonly options: TortureOptions;
  readonly server: TestServer;
  readonly database: DatabaseServer | undefined;
  readonly machine: Machine;
  readonly ledger: Ledger;
  readonly history: History;
  readonly random: Random;
  readonly client: Client;
}

async function live({ options, client, ledger, history, random, ...rest }: Life): Promise<void> {
  const over = AbortSignal.timeout(options.seconds * 1000);
  const users = Array.from(
    { length: options.users },
    (_, number) => new User(`user${number}`, client, ledger, history, random.fork()),
  );
  const trouble = { ...rest, ledger, history };
  await Promise.all([
    ...users.map((user) => user.act(over)),
    killServers({ ...trouble, random: random.fork() }, over),
    killInside({ ...trouble, random: random.fork() }, over),
    killDatabase({ ...trouble, random: random.fork() }, over),
  ]);
}

/** Ends all pauses, and waits until every message has its end and the machine has what the records say. */
async function settle(client: Client, ledger: Ledger, machine: Machine, history: History): Promise<void> {
  history.add("settle");
  const deadline = Date.now() + SETTLE_MS;
  const sessions = [];
  for await (const session of client.items("sessions.list", { query: { space: SPACE, limit: 1000 } })) {
    sessions.push(session);
    // Creations whose answers were lost are somebody's too.
    ledger.know(session.id);
    if (session.state === "error") await client.call("sessions.resume", { params: { id: session.id } });
  }
  for (const { id } of sessions) {
    for (;;) {
      const { state } = await client.call("sessions.get", { params: { id } });
      // The pause of a busy one comes with the end of its message, and those that wait go on waiting.
      if (state === "paused") await client.call("sessions.resume", { params: { id } });
      const messages = await client.call("messages.list", { params: { id }, query: { limit: 1000 } });
      const open = messages.filter(({ status }) => status === "queued" || status === "running");
      if (open.length === 0 && state !== "init" && state !== "busy" && state !== "paused") break;
      if (Date.now() > deadline) {
        history.violation(`${id} is still ${state} with ${open.length} messages without an end`);
        break;
      }
      await sleep(200);
    }
  }
  const live = new Set(sessions.map(({ id }) => id));
  for (;;) {
    const strangers = machine.traces().filter(({ id }) => !live.has(id));
    const beyond = new Set(strangers.map(({ id }) => id));
    // One computer waits in the pool.
    if (beyond.size <= 1) break;
    if (Date.now() > deadline) {
      for (const { kind, text } of strangers) history.violation(`a ${kind} belongs to no session: ${text}`);
      break;
    }
    await sleep(300);
  }
}

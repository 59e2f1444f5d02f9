import { setTimeout as sleep } from "node:timers/promises";
import { FAULT_MOMENTS, FAULT_POINTS } from "../../packages/server/src/domain/faults.ts";
import type { DatabaseServer } from "../support/database-server.ts";
import type { TestServer } from "../support/test-server.ts";
import type { History } from "./history.ts";
import type { Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";
import type { Random } from "./random.ts";

export interface TroubleOptions {
  readonly server: TestServer;
  readonly database: DatabaseServer | undefined;
  readonly machine: Machine;
  readonly ledger: Ledger;
  readonly history: History;
  readonly random: Random;
}

/** A database that was killed is back after this many tries. */
const TRIES_MAX = 20;
const RETRY_MS = 300;

/** Ends the server again and again, by chance and at named steps, and starts it again. Leaves it running without a fault. */
export async function killServers(options: TroubleOptions, signal: AbortSignal): Promise<void> {
  const { history, random, server } = options;
  while (!signal.aborted) {
    const byItself = await endsWithin(server, random.between(700, 3500));
    if (!byItself) {
      history.add("kill server");
      await server.kill();
    }
    history.addServerLog(server.log());
    await sleep(random.between(0, 200));
    await startServer(options, random.chance(0.6) && !signal.aborted);
  }
  await server.kill();
  history.addServerLog(server.log());
  await startServer(options, false);
}

/** True when it has ended. */
async function endsWithin(server: TestServer, milliseconds: number): Promise<boolean> {
  const waiting = new AbortController();
  const timer = sleep(milliseconds, false, { signal: waiting.signal }).catch(() => false);
  const ended = await Promise.race([server.ended().then(() => true), timer]);
  waiting.abort();
  return ended;
}

async function startServer({ database, history, random, server }: TroubleOptions, withFault: boolean): Promise<void> {
  const fault = `${random.pick(FAULT_POINTS)}:${random.pick(FAULT_MOMENTS)}`;
  history.add("start server", withFault ? `with fault ${fault}` : "");
  for (let tries = 1; ; tries += 1) {
    try {
      return await server.start(withFault && tries === 1 ? { RAWORC_ENABLE_FAULTS: "true", RAWORC_FAULT: fault } : {});
    } catch (error) {
      // One with a fault may reach it before it is ready, and one whose database is away is right to say so.
      const isExpected = (withFault && tries === 1) || (database !== undefined && String(error).includes("database"));
      if (!isExpected) history.violation(`the server does not start: ${error}`);
      if (tries === TRIES_MAX) throw error;
      await sleep(RETRY_MS);
    }
  }
}

/** Kills hosts and workers of sessions. */
export async function killInside(options: TroubleOptions, signal: AbortSignal): Promise<void> {
  const { history, ledger, machine, random } = options;
  while (!signal.aborted) {
    await sleep(random.between(300, 3000));
    const session = random.pick(ledger.live());
    if (session === undefined || signal.aborted) continue;
    const at = Date.now();
    if (random.chance(0.4)) {
      if (machine.killHost(session.id)) history.disturb("kill host", session.id, at);
    } else if (machine.killWorker(session.id)) history.disturb("kill worker", session.id, at);
  }
}

export async function killDatabase(options: TroubleOptions, signal: AbortSignal): Promise<void> {
  const { database, history, random } = options;
  while (database !== undefined && !signal.aborted) {
    await sleep(random.between(4000, 12_000));
    if (signal.aborted) return;
    history.add("kill database");
    await database.kill();
    await sleep(random.between(0, 1500));
    await database.start();
    history.add("start database");
  }
}

import { setTimeout as sleep } from "node:timers/promises";
import { ConnectionError, createClient } from "@raworc/client";
import { afterAll, beforeAll, expect, test } from "vitest";
import { FAULT_MOMENTS, FAULT_POINTS, type FaultPoint, parseFault } from "../../packages/server/src/domain/faults.ts";
import { deployAgents } from "../support/deploy.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { TestServer } from "../support/test-server.ts";
import { COUNTER_AGENT } from "../torture/counter-agent.ts";
import { FAULT_ACTIONS, type FaultScene, PLAIN_SPACE, POOL_SPACE, RESTING_SPACE } from "../torture/fault-actions.ts";
import { History } from "../torture/history.ts";
import { checkRecords } from "../torture/invariants.ts";
import { Ledger } from "../torture/ledger.ts";
import { Machine } from "../torture/machine.ts";
import { Random } from "../torture/random.ts";

const RUNTIME = "sandbox";
const SPACES = {
  [PLAIN_SPACE]: {},
  [RESTING_SPACE]: { idle: { freeze_after_s: 1 } },
  [POOL_SPACE]: { warm_pool: 1 },
};

const ALL = FAULT_MOMENTS.flatMap((moment) => FAULT_POINTS.map((point) => `${point}:${moment}`));
/** Each server that recovers from a fault is the one that waits for the next: neighbours must be of different kinds. */
const STRIDE = 7;
const FAULTS = ALL.map((_, index) => ALL[(index * STRIDE) % ALL.length] ?? "");

function pointOf(fault: string): FaultPoint {
  const { point } = parseFault(fault) ?? {};
  if (point === undefined) throw new Error(`${fault} is no fault`);
  return point;
}

describeWith([RUNTIME], "a server that ends at a named step", () => {
  const history = new History();
  let repository: Repository;
  let server: TestServer;
  let scene: FaultScene;
  /** Where the server that runs will end. */
  let armed: string | undefined;

  beforeAll(async () => {
    repository = new Repository(COUNTER_AGENT);
    server = await TestServer.start({ runtime: RUNTIME });
    const { token } = await createClient({ server: server.url }).call("auth.login", {
      body: { user: "admin", pass: "admin" },
    });
    const client = createClient({ server: server.url, token, reconnect: { mostDelayMs: 200 } });
    scene = {
      client,
      machine: new Machine(RUNTIME, server.home),
      ledger: new Ledger(client, history, new Random(1)),
    };
    for (const [name, settings] of Object.entries(SPACES)) {
      await client.call("spaces.create", { body: { name } });
      await deployAgents(client, repository.path, { counter: null }, name);
      await client.call("spaces.update", { params: { space: name }, body: { settings } });
    }
  });

  afterAll(async () => {
    await scene.ledger.close();
    await server.destroy();
    repository.remove();
  });

  /** Starts a server that ends at a fault. It may come to it by what it finds, before it is ready. */
  async function arm(fault: string): Promise<void> {
    history.addServerLog(server.log());
    armed = fault;
    const started = server.start({ RAWORC_ENABLE_FAULTS: "true", RAWORC_FAULT: fault });
    await started.catch(() => undefined);
  }

  /** Does what must be done whole. The fault that waits may come into its way; then it is done on a server without one. */
  async function undisturbed<T>(work: () => Promise<T>): Promise<T> {
    const ended = server.ended().then(() => {
      throw new Error("The server has ended");
    });
    try {
      return await Promise.race([work(), ended]);
    } catch (error) {
      // Its connections break a moment before it is known to have ended.
      if (error instanceof ConnectionError) await server.ended();
      if (server.isRunning) throw error;
      history.addServerLog(server.log());
      armed = undefined;
      await server.start();
      return work();
    }
  }

  test.each(FAULTS)("%s", async (fault) => {
    const action = FAULT_ACTIONS[pointOf(fault)];
    const prepared = (await undisturbed(async () => action.prepare?.(scene))) ?? "";
    if (armed !== fault) {
      await server.kill();
      await arm(fault);
    }
    const acting = action.act(scene, prepared).catch(() => undefined);
    await server.ended();
    await acting;
    await arm(FAULTS[FAULTS.indexOf(fault) + 1] ?? fault);
    await undisturbed(async () => {
      while (!(await action.isDone(scene, prepared))) await sleep(50);
    });
  });

  test("every point was gone through", () => {
    expect(new Set(FAULTS)).toEqual(new Set(ALL));
  });

  test("whatever was begun came to its one end, and nothing is left over", async () => {
    const { client, ledger, machine } = scene;
    await server.kill();
    await server.start();
    const paused = await client.call("sessions.list", { query: { state: "paused", limit: 1000 } });
    for (const { id } of paused) await client.call("sessions.resume", { params: { id } });
    for (const { id } of ledger.live()) {
      const isDone = async () => {
        const messages = await client.call("messages.list", { params: { id }, query: { limit: 1000 } });
        return messages.every(({ status }) => status !== "queued" && status !== "running");
      };
      while (!(await isDone())) await sleep(50);
    }
    await checkRecords({ client, ledger, history });
    expect(history.violations).toEqual([]);
    const live = (await client.call("sessions.list", { query: { limit: 1000 } })).map(({ id }) => id);
    const strangers = () => new Set(machine.traces().flatMap(({ id }) => (live.includes(id) ? [] : [id])));
    // One computer waits in the pool.
    await expect.poll(() => strangers().size, { timeout: 30_000 }).toBeLessThanOrEqual(1);
  });
});

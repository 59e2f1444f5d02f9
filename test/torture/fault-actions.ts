import { setTimeout as sleep } from "node:timers/promises";
import type { FaultPoint } from "../../packages/server/src/domain/faults.ts";
import type { Client } from "../support/test-server.ts";
import type { Ledger } from "./ledger.ts";
import type { Machine } from "./machine.ts";

/** What a fault's case works with. */
export interface FaultScene {
  readonly client: Client;
  readonly ledger: Ledger;
  readonly machine: Machine;
}

/** Leads the server to a point, and tells what must have come of it once another server runs. */
export interface FaultAction {
  /** Before the server with the fault runs; what it gives is handed to the others. */
  prepare?(scene: FaultScene): Promise<string>;
  /** The server may end at any moment of this. */
  act(scene: FaultScene, prepared: string): Promise<unknown>;
  /** Whether what was begun has come to its end. It is asked again until it has. */
  isDone(scene: FaultScene, prepared: string): Promise<boolean>;
}

export const PLAIN_SPACE = "plain";
export const RESTING_SPACE = "resting";
export const POOL_SPACE = "pool";

/** Each creation can be told from the others by its name. */
let count = 0;
function name(): string {
  count += 1;
  return `case-${count}`;
}

async function open({ client, ledger }: FaultScene, space: string): Promise<string> {
  const { id } = await client.call("sessions.create", { body: { space, wait: "ready" } });
  ledger.know(id);
  return id;
}

async function send({ client, ledger }: FaultScene, id: string): Promise<void> {
  const content = `work 150 3 ${name()}`;
  const message = await client.call("messages.create", { params: { id }, body: { content } });
  if ("id" in message) ledger.know(id).accepted.push({ id: message.id, content });
}

const stateOf = async ({ client }: FaultScene, id: string): Promise<string> =>
  (await client.call("sessions.get", { params: { id }, query: { deleted: true } })).state;

const findByName = async ({ client, ledger }: FaultScene, space: string, wanted: string) => {
  const sessions = await client.call("sessions.list", { query: { space, limit: 1000 } });
  const found = sessions.filter((session) => session.name === wanted);
  for (const { id } of found) ledger.know(id);
  return found;
};

/**
 * A creation is repeated with its key until it is answered, as a careful client does; it must be done once. One from a pool may
 * find it empty, and another one is made until the server has come to the point.
 */
const create = (space: string): FaultAction => ({
  prepare: async () => name(),
  act: async (scene, wanted) => {
    do await createOnce(scene, space, wanted);
    while (space === POOL_SPACE && (await sleep(100, true)) && (await createOnce(scene, space, name())));
  },
  isDone: async (scene, wanted) => {
    const { id } = await createOnce(scene, space, wanted);
    const found = await findByName(scene, space, wanted);
    if (found.length !== 1) throw new Error(`${found.length} sessions were created by one key`);
    if (found[0]?.state !== "idle") return false;
    await send(scene, id);
    return true;
  },
});

function createOnce({ client }: FaultScene, space: string, wanted: string) {
  const headers = { "idempotency-key": wanted };
  return client.call("sessions.create", { body: { space, name: wanted }, headers });
}

const fork: FaultAction = {
  prepare: async (scene) => {
    const id = await open(scene, PLAIN_SPACE);
    await send(scene, id);
    await idle(scene, id);
    return id;
  },
  act: ({ client }, id) => client.call("sessions.fork", { params: { id }, body: { name: `fork-${id}` } }),
  isDone: async (scene, id) => {
    const [session] = await findByName(scene, PLAIN_SPACE, `fork-${id}`);
    return session?.state === "idle" && (await stateOf(scene, id)) === "idle";
  },
};

const message: FaultAction = {
  prepare: (scene) => open(scene, PLAIN_SPACE),
  act: send,
  isDone: async (scene, id) => {
    const messages = await scene.client.call("messages.list", { params: { id } });
    return messages.length > 0 && messages.every(({ status }) => status === "done");
  },
};

const pause: FaultAction = {
  prepare: (scene) => open(scene, PLAIN_SPACE),
  act: ({ client }, id) => client.call("sessions.pause", { params: { id } }),
  isDone: async (scene, id) => (await stateOf(scene, id)) === "paused" && scene.machine.processes(id).length === 0,
};

/** An idle session is frozen by its space's policy. */
const rest: FaultAction = {
  prepare: (scene) => open(scene, RESTING_SPACE),
  act: async () => undefined,
  isDone: async ({ client }, id) => (await client.call("sessions.get", { params: { id } })).tier === "frozen",
};

const wake: FaultAction = {
  prepare: async (scene) => {
    const id = await open(scene, RESTING_SPACE);
    while (!(await rest.isDone(scene, id))) await sleep(100);
    return id;
  },
  act: send,
  isDone: message.isDone,
};

/** The computer of a frozen session is killed; what it had in memory is gone, and its files are there. */
const lose: FaultAction = {
  ...wake,
  act: async ({ machine }, id) => {
    machine.killFrozen(id);
  },
  isDone: async (scene, id) => {
    await send(scene, id);
    return true;
  },
};

const remove: FaultAction = {
  prepare: (scene) => open(scene, PLAIN_SPACE),
  act: ({ client, ledger }, id) => {
    ledger.know(id).deleted = true;
    return client.call("sessions.delete", { params: { id } });
  },
  isDone: async (scene, id) => {
    if ((await stateOf(scene, id)) !== "deleted") await remove.act(scene, id);
    return scene.machine.traces().every((trace) => trace.id !== id);
  },
};

const build: FaultAction = {
  prepare: async ({ client }) => {
    const { build_id } = await client.call("builds.latest", { params: { space: PLAIN_SPACE } });
    return build_id;
  },
  act: ({ client }) => client.call("builds.create", { params: { space: PLAIN_SPACE }, body: { force_rebuild: true } }),
  isDone: async ({ client }, before) => {
    const latest = await client.call("builds.latest", { params: { space: PLAIN_SPACE } });
    return latest.build_id !== before && latest.status === "completed";
  },
};

async function idle(scene: FaultScene, id: string): Promise<void> {
  while (!(await message.isDone(scene, id))) await sleep(50);
}

/** The way to each point. A new step of a plan needs an entry here. */
export const FAULT_ACTIONS: Readonly<Record<FaultPoint, FaultAction>> = {
  record_attempt: create(PLAIN_SPACE),
  copy_volume: fork,
  start: create(PLAIN_SPACE),
  thaw: wake,
  claim: create(PLAIN_SPACE),
  record_ready: create(PLAIN_SPACE),
  freeze: rest,
  stop: pause,
  record_stopped: lose,
  remove,
  record_removed: remove,
  message_begin: message,
  message_open: message,
  message_deliver: message,
  message_end: message,
  message_forget: message,
  build_begin: build,
  build_agent: build,
  build_compose: build,
  build_end: build,
  pool_record: create(POOL_SPACE),
  pool_start: create(POOL_SPACE),
  pool_claim: create(POOL_SPACE),
  pool_session: create(POOL_SPACE),
};

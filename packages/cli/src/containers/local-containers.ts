import { randomUUID } from "node:crypto";
import { mkdir, rm } from "node:fs/promises";
import { join } from "node:path";
import { setTimeout as delay } from "node:timers/promises";
import { z } from "zod";
import { COMPONENTS, type Component } from "../components.ts";
import type { Config } from "../config.ts";
import { CommandFailure } from "../failure.ts";
import { makeFolder, readState, writeState } from "../home.ts";
import { Overrides } from "../local-server.ts";
import {
  CONTAINERS,
  type ContainerPlan,
  commandWords,
  componentWords,
  DATABASE_PORT,
  DATABASE_VOLUME,
  databaseWords,
  labels,
  machineWords,
  SHARE_FOLDER,
  UNSHARE_FOLDER,
} from "./container-plan.ts";
import { databaseAnswers } from "./database-greeting.ts";
import { Engine, faultIn } from "./engine.ts";
import { ensureDatabaseImage, ensureServerImage } from "./images.ts";
import { databasePassword, settingsOf, writeSettings } from "./settings.ts";

const ContainersState = z.object({
  /** Which containers and volumes are this home's. */
  instance: z.uuid(),
  server_image: z.string(),
  database_image: z.string(),
  overrides: Overrides,
  /** Of the last start that came to its end. */
  url: z.string().nullable(),
  started_at: z.string().nullable(),
  runtime: z.string(),
  reason: z.string(),
});
export type ContainersState = z.infer<typeof ContainersState>;

const Ready = z.object({
  msg: z.literal("ready"),
  url: z.string().nullable(),
  runtime: z.string(),
  reason: z.string(),
});
export type Ready = Omit<z.infer<typeof Ready>, "msg">;

const STOP_PATIENCE_S = 40;
const DATABASE_WAIT_MS = 180_000;
const LOOK_AGAIN_MS = 250;

/** Server, operator and database of this home as containers, as containers.json tells of them. */
export class LocalContainers {
  readonly engine: Engine;
  readonly #config: Config;
  readonly #path: string;
  /** Seen by the containers at the same path. */
  readonly #folder: string;
  readonly #own: string;

  constructor(config: Config) {
    this.engine = new Engine(config);
    this.#config = config;
    this.#path = join(config.home, "containers.json");
    this.#folder = join(config.home, "docker");
    this.#own = join(config.home, "containers");
  }

  /** The state as it was written, whether they run or not. */
  last(): Promise<ContainersState | undefined> {
    return readState(this.#path, ContainersState);
  }

  /** The state where server or operator run now. */
  async running(): Promise<ContainersState | undefined> {
    const state = await this.last();
    if (state === undefined) return undefined;
    const running = await this.#running(state);
    return COMPONENTS.some((name) => running.includes(CONTAINERS[name])) ? state : undefined;
  }

  /** Whether each of them runs, and did come to be ready. */
  async isWhole(state: ContainersState): Promise<boolean> {
    const running = await this.#running(state);
    return state.url !== null && Object.values(CONTAINERS).every((name) => running.includes(name));
  }

  /** Starts all of them. Throws CommandFailure; what was started before it failed is stopped. */
  async start(overrides: Overrides, onProgress: (text: string) => void): Promise<ContainersState> {
    await this.engine.requireEngine();
    const environment = { ...this.#config.environment, ...overrides };
    const state: ContainersState = {
      instance: (await this.last())?.instance ?? randomUUID(),
      server_image: await ensureServerImage(this.engine, environment, onProgress),
      database_image: await ensureDatabaseImage(this.engine, environment, onProgress),
      overrides,
      url: null,
      started_at: null,
      runtime: "docker",
      reason: "",
    };
    await makeFolder(this.#config.home);
    await this.#requireOwn(state);
    await writeState(this.#path, state);
    const plan = await this.#plan(state, environment);
    await this.engine.run(machineWords(plan, SHARE_FOLDER, this.#folder));
    await this.#removeContainers();
    try {
      onProgress("Starting the database...");
      await this.#startDatabase(plan);
      onProgress("Starting Raworc...");
      await this.#run(componentWords(plan, "server"));
      await this.#run(componentWords(plan, "operator"));
      const server = await this.#ready("server");
      await this.#ready("operator");
      const started = { ...state, ...server, started_at: new Date().toISOString() };
      // A port that the system chose is kept by restarts, so that the address stays.
      const port = server.url === null ? undefined : new URL(server.url).port;
      const kept = { ...started, overrides: port === undefined ? overrides : { ...overrides, RAWORC_PORT: port } };
      await writeState(this.#path, kept);
      return kept;
    } catch (error) {
      await this.stop();
      throw error;
    }
  }

  /** Session computers stay as they are. Idempotent. */
  async stop(): Promise<void> {
    // The server first: what it has begun may need the operator, and both need the database.
    for (const name of [CONTAINERS.server, CONTAINERS.operator, CONTAINERS.database]) await this.#stop(name);
  }

  async stopComponents(): Promise<void> {
    for (const name of [CONTAINERS.server, CONTAINERS.operator]) await this.#stop(name);
  }

  /** Runs a command of the server's program beside the database, which is started for it where it doesn't run. */
  async command(state: ContainersState, command: string): Promise<{ code: number; out: string; err: string }> {
    const plan = await this.#plan(state, { ...this.#config.environment, ...state.overrides });
    const isThere = (await this.#running(state)).includes(CONTAINERS.database);
    if (!isThere) {
      await this.#remove(CONTAINERS.database);
      await this.#startDatabase(plan);
    }
    try {
      return await this.engine.ask(commandWords(plan, command));
    } finally {
      if (!isThere) await this.#stop(CONTAINERS.database);
    }
  }

  /** Removes containers, volume and folders; the installation in them was removed before. */
  async removeAll(state: ContainersState): Promise<void> {
    const plan = await this.#plan(state, this.#config.environment);
    await this.#removeContainers();
    await this.engine.run(["volume", "rm", "--force", DATABASE_VOLUME]);
    await this.engine.run(machineWords(plan, UNSHARE_FOLDER, this.#folder));
    for (const path of [this.#folder, this.#own, this.#path]) await rm(path, { recursive: true, force: true });
  }

  async #plan(state: ContainersState, environment: Config["environment"]): Promise<ContainerPlan> {
    await makeFolder(this.#own);
    await mkdir(this.#folder, { recursive: true, mode: 0o700 });
    const passwordPath = join(this.#own, "database-password");
    const settingsPath = join(this.#own, "settings");
    const password = await databasePassword(passwordPath);
    await writeSettings(settingsPath, settingsOf(environment, join(this.#folder, "data"), password));
    const { engineSocket } = this.#config;
    if (engineSocket === null) {
      throw new CommandFailure("DOCKER_HOST names an engine that is not on this machine.", [
        "set it to unix:///path, or leave it out",
      ]);
    }
    return {
      instance: state.instance,
      folder: this.#folder,
      settingsPath,
      passwordPath,
      engineSocket,
      engineVolumes: join(await this.engine.run(["info", "--format", "{{.DockerRootDir}}"]), "volumes"),
      certificates: environment["SSL_CERT_FILE"] || undefined,
      serverImage: state.server_image,
      databaseImage: state.database_image,
    };
  }

  /** Throws CommandFailure where another home's containers have the names. */
  async #requireOwn({ instance }: ContainersState): Promise<void> {
    const label = '{{index .Config.Labels "raworc.instance"}}';
    for (const name of Object.values(CONTAINERS)) {
      const { code, out } = await this.engine.ask(["container", "inspect", "--format", label, name]);
      if (code !== 0 || out === instance) continue;
      throw new CommandFailure(`There is a container ${name} on this engine that is not of ${this.#config.home}.`, [
        `stop it where it was started, then remove it: docker rm ${name}`,
      ]);
    }
    const volume = ["volume", "inspect", "--format", '{{index .Labels "raworc.instance"}}', DATABASE_VOLUME];
    const { code, out } = await this.engine.ask(volume);
    if (code === 0 && out !== instance) {
      throw new CommandFailure(`There is a volume ${DATABASE_VOLUME} on this engine that is not of this home.`, [
        `reset the installation that made it, or, if that is gone: docker volume rm ${DATABASE_VOLUME}`,
      ]);
    }
  }

  async #startDatabase(plan: ContainerPlan): Promise<void> {
    await this.engine.run(["volume", "create", ...labels(plan), DATABASE_VOLUME]);
    await this.#run(databaseWords(plan));
    const deadline = Date.now() + DATABASE_WAIT_MS;
    // The engine takes connections before the database does: only its greeting tells.
    while (!(await databaseAnswers(DATABASE_PORT))) {
      const status = await this.#statusOf(CONTAINERS.database);
      if (status !== "running" || Date.now() > deadline) {
        throw new CommandFailure(`The database does not answer (its container is ${status}).`, [
          `see: docker logs ${CONTAINERS.database}`,
        ]);
      }
      await delay(LOOK_AGAIN_MS);
    }
  }

  /** Starts a container. Throws CommandFailure with what to do. */
  async #run(words: readonly string[]): Promise<void> {
    const { code, err } = await this.engine.ask(words);
    if (code === 0) return;
    const isTaken = /port is already allocated|address already in use/.test(err);
    throw new CommandFailure(
      isTaken ? `Port ${DATABASE_PORT} is in use, which the database needs.` : faultIn(err),
      isTaken ? [`stop what listens there: ss -ltnp 'sport = :${DATABASE_PORT}'`] : [],
    );
  }

  /** What a component says when it is ready. Throws CommandFailure with its own word where it ends before. */
  async #ready(component: Component): Promise<Ready> {
    const name = CONTAINERS[component];
    for await (const line of this.engine.logLines(name, ["--follow"], "ignore")) {
      const ready = Ready.safeParse(parseJson(line));
      if (ready.success) return ready.data;
    }
    const { err } = await this.engine.ask(["logs", "--tail", "20", name]);
    const [message = `The ${component} ended before it was ready.`, ...more] = err.split("\n").filter(Boolean);
    throw new CommandFailure(message, [...more, `see: raworc logs ${component}`]);
  }

  async #running({ instance }: ContainersState): Promise<string[]> {
    const filters = ["--filter", `label=raworc.instance=${instance}`];
    const { code, out } = await this.engine.ask(["ps", ...filters, "--format", "{{.Names}}"]);
    return code === 0 ? out.split("\n").filter(Boolean) : [];
  }

  async #statusOf(name: string): Promise<string> {
    const { code, out } = await this.engine.ask(["container", "inspect", "--format", "{{.State.Status}}", name]);
    return code === 0 ? out : "gone";
  }

  async #stop(name: string): Promise<void> {
    if ((await this.#statusOf(name)) === "gone") return;
    await this.engine.run(["stop", "--time", String(STOP_PATIENCE_S), name]);
  }

  async #remove(name: string): Promise<void> {
    if ((await this.#statusOf(name)) !== "gone") await this.engine.run(["rm", "--force", name]);
  }

  async #removeContainers(): Promise<void> {
    for (const name of Object.values(CONTAINERS)) await this.#remove(name);
  }
}

function parseJson(line: string): unknown {
  try {
    return JSON.parse(line);
  } catch {
    return undefined;
  }
}

import { randomUUID } from "node:crypto";
import { setTimeout as sleep } from "node:timers/promises";
import { AnswerError, ApiError, ConnectionError } from "@raworc/client";
import type { Client } from "../support/test-server.ts";
import type { History } from "./history.ts";
import type { KnownSession, Ledger } from "./ledger.ts";
import type { Random } from "./random.ts";

export const SPACE = "torture";
export const COMMANDS = "/session/workspace/commands";

/** Answers that tell of a server or a computer that is away, or of a session in another state than was thought. */
const EXPECTED: ReadonlySet<number> = new Set([404, 409, 429, 502, 503]);

const TRIES_MAX = 6;

const ACTIONS = {
  message: 40,
  messages: 8,
  question: 12,
  command: 16,
  pause: 5,
  resume: 5,
  cancel: 4,
  fork: 3,
  replace: 3,
  rest: 4,
} as const;

/** Somebody who uses one session after the other, with all that can be done to one. */
export class User {
  readonly #name: string;
  readonly #client: Client;
  readonly #ledger: Ledger;
  readonly #history: History;
  readonly #random: Random;
  #session: KnownSession | undefined;

  constructor(name: string, client: Client, ledger: Ledger, history: History, random: Random) {
    this.#name = name;
    this.#client = client;
    this.#ledger = ledger;
    this.#history = history;
    this.#random = random;
  }

  /** Acts until the signal; resolves when the last action has its answer. */
  async act(signal: AbortSignal): Promise<void> {
    while (!signal.aborted) {
      if (this.#session === undefined || this.#session.deleted) await this.#create();
      else await this.#step(this.#session);
      await sleep(this.#random.between(0, 150));
    }
  }

  #step(session: KnownSession): Promise<unknown> {
    const params = { id: session.id };
    switch (this.#random.weighted(ACTIONS)) {
      case "message":
        return this.#send(session);
      case "messages":
        return Promise.all(Array.from({ length: this.#random.between(2, 4) }, () => this.#send(session)));
      case "question":
        return this.#send(session, "reply");
      case "command":
        return this.#run(session);
      case "pause":
        session.pauses.push(Date.now());
        return this.#try("pause", session.id, () => this.#client.call("sessions.pause", { params }));
      case "resume":
        return this.#try("resume", session.id, () => this.#client.call("sessions.resume", { params }));
      case "cancel":
        session.cancels.push(Date.now());
        return this.#try("cancel", session.id, () => this.#client.call("sessions.cancel", { params }));
      case "fork":
        return this.#fork(session);
      case "replace":
        return this.#delete(session);
      case "rest":
        // Long enough for the session to be frozen, and sometimes stopped.
        return sleep(this.#random.between(1000, 3500));
    }
  }

  async #create(): Promise<void> {
    const body = { space: SPACE, ...(this.#random.chance(0.5) ? { wait: "ready" as const } : {}) };
    const call = { body, ...this.#key() };
    const session = await this.#insist("create", "", call, () => this.#client.call("sessions.create", call));
    if (session !== undefined) this.#session = this.#ledger.know(session.id);
  }

  async #fork(parent: KnownSession): Promise<void> {
    const params = { id: parent.id };
    const call = { params, body: {}, ...this.#key() };
    const fork = await this.#insist("fork", parent.id, call, () => this.#client.call("sessions.fork", call));
    if (fork === undefined) return;
    await this.#delete(parent);
    this.#session = this.#ledger.know(fork.id);
  }

  async #delete(session: KnownSession): Promise<void> {
    const params = { id: session.id };
    session.deleted = true;
    await this.#try("delete", session.id, () => this.#client.call("sessions.delete", { params }));
  }

  async #send(session: KnownSession, wait?: "reply"): Promise<void> {
    const params = { id: session.id };
    const content = `work ${this.#random.between(0, 700)} ${this.#random.between(1, 8)} ${randomUUID()}`;
    const body = { content, ...(wait === undefined ? {} : { wait }) };
    session.unsure.push(content);
    const call = { params, body, ...this.#key() };
    const answer = await this.#insist("message", session.id, call, () => this.#client.call("messages.create", call));
    if (answer === undefined) return;
    session.unsure.splice(session.unsure.indexOf(content), 1);
    session.accepted.push({ id: "id" in answer ? answer.id : answer.message.id, content });
  }

  async #run(session: KnownSession): Promise<void> {
    const params = { id: session.id };
    const marker = randomUUID();
    const body = { command: `echo ${marker} >> ${COMMANDS}; echo ${marker}` };
    const answer = await this.#try("command", session.id, () => this.#client.call("sessions.exec", { params, body }));
    if (answer === undefined || answer.exit_code !== 0) return;
    if (answer.stdout !== `${marker}\n`) {
      this.#history.violation(`a command in ${session.id} answered ${JSON.stringify(answer)}`);
    }
    session.commands.push(marker);
  }

  /** Half of all creations can be repeated without being done twice. */
  #key(): { headers?: Record<string, string> } {
    return this.#random.chance(0.5) ? { headers: { "idempotency-key": randomUUID() } } : {};
  }

  /** Repeats a call with a key until it has an answer; whoever leaves the key out gets one try. */
  async #insist<T>(
    action: string,
    about: string,
    { headers }: { headers?: Record<string, string> },
    call: () => Promise<T>,
  ): Promise<T | undefined> {
    for (let tries = headers === undefined ? 1 : TRIES_MAX; tries > 0; tries -= 1) {
      const answer = await this.#try(action, about, call);
      if (answer !== undefined) return answer;
      if (tries > 1) await sleep(this.#random.between(50, 400));
    }
    return undefined;
  }

  /** Undefined when the answer was lost, or was one that must be expected in such times. */
  async #try<T>(action: string, about: string, call: () => Promise<T>): Promise<T | undefined> {
    const who = `${this.#name} ${action}`;
    try {
      const answer = await call();
      this.#history.add(action, `${this.#name} ${about}`, "ok");
      return answer;
    } catch (error) {
      if (error instanceof ConnectionError || error instanceof AnswerError) {
        this.#history.add(action, `${this.#name} ${about}`, `lost: ${error.message.slice(0, 120)}`);
        await sleep(this.#random.between(200, 600));
      } else if (error instanceof ApiError && EXPECTED.has(error.status)) {
        this.#history.add(action, `${this.#name} ${about}`, `${error.status} ${error.code}`);
        if (error.retryAfterSeconds !== undefined) await sleep(Math.min(error.retryAfterSeconds, 1) * 1000);
      } else {
        this.#history.violation(`${who} ${about}: ${error}`);
      }
      return undefined;
    }
  }
}

import type { AgentContext, HistoryEntry, HostAgent, HostClaim, HostExec, HostMessage } from "@raworc/contract";
import { FORGOTTEN_MAX } from "./limits.ts";

/** A call that can't be taken; answered with its status, code and text. */
export class RequestError extends Error {
  override readonly name = "RequestError";
  readonly status: number;
  readonly code: string;

  constructor(status: number, code: string, message: string) {
    super(message);
    this.status = status;
    this.code = code;
  }
}

const RUNTIMES = ["python", "node", "rust"] as const;

type Fields = Readonly<Record<string, unknown>>;

/*
 * Checked by hand: the schemas of the contract would draw a library into each computer's memory, and the control plane,
 * which alone can call, validates with them.
 */

export function readClaim(body: unknown): HostClaim {
  const claim = fields(body, "the body");
  return {
    session_id: text(claim, "session_id"),
    space: text(claim, "space"),
    environment: texts(claim, "environment"),
    agents: list(claim["agents"], "agents").map(readAgent),
  };
}

function readAgent(value: unknown): HostAgent {
  const agent = fields(value, "an agent");
  const name = text(agent, "name");
  if (!/^[a-z0-9][a-z0-9_-]*$/.test(name)) throw wrong("an agent's name", "lower-case letters, digits, - and _");
  const path = text(agent, "path");
  if (!path.startsWith("/")) throw wrong("an agent's path", "an absolute path");
  const manifest = fields(agent["manifest"], "manifest");
  const runtime = RUNTIMES.find((known) => known === manifest["runtime"]);
  const kind = manifest["kind"];
  if (runtime === undefined) throw wrong("runtime", RUNTIMES.join(", "));
  if (kind !== "worker" && kind !== "binary") throw wrong("kind", "worker or binary");
  return {
    name,
    path,
    manifest: {
      runtime,
      kind,
      handler: text(manifest, "handler"),
      timeout_s: positive(manifest, "timeout_s"),
      env: texts(manifest, "env"),
      ...(manifest["program"] === undefined ? {} : { program: text(manifest, "program") }),
    },
  };
}

export function readMessage(body: unknown): HostMessage {
  const message = fields(body, "the body");
  const after = message["history_after"];
  return {
    message_id: text(message, "message_id"),
    agent: text(message, "agent"),
    content: text(message, "content"),
    context: readContext(message["context"]),
    ...(after === undefined ? {} : { history_after: whole(after, "history_after") }),
    ...(message["forget"] === undefined ? {} : { forget: readIds(message["forget"], "forget") }),
  };
}

function readContext(value: unknown): AgentContext {
  const context = fields(value, "context");
  return { ...context, history: list(context["history"], "history").map(readHistoryEntry) } as AgentContext;
}

function readHistoryEntry(value: unknown): HistoryEntry {
  const entry = fields(value, "an entry of the history");
  const seq = entry["seq"];
  return {
    role: text(entry, "role"),
    content: text(entry, "content"),
    ...(seq === undefined ? {} : { seq: whole(seq, "seq") }),
  };
}

export function readForget(body: unknown): readonly string[] {
  return readIds(fields(body, "the body")["ids"], "ids");
}

function readIds(value: unknown, name: string): string[] {
  const ids = list(value, name);
  if (ids.length > FORGOTTEN_MAX) throw wrong(name, `a list of at most ${FORGOTTEN_MAX} ids`);
  return ids.map((id) => {
    if (typeof id === "string") return id;
    throw wrong(name, "a list of texts");
  });
}

export function readExec(body: unknown): HostExec {
  const exec = fields(body, "the body");
  const command = exec["command"];
  if (Array.isArray(command) && command.length === 0) throw wrong("command", "a text or a list with a program");
  const words = Array.isArray(command) ? command.map((word) => plain(word, "command")) : plain(command, "command");
  return {
    command: words,
    cwd: plain(exec["cwd"], "cwd"),
    env: texts(exec, "env"),
    timeout_s: positive(exec, "timeout_s"),
    ...(exec["stdin"] === undefined ? {} : { stdin: text(exec, "stdin") }),
  };
}

function fields(value: unknown, name: string): Fields {
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Fields;
  throw wrong(name, "an object");
}

function list(value: unknown, name: string): readonly unknown[] {
  if (Array.isArray(value)) return value;
  throw wrong(name, "a list");
}

function text(from: Fields, name: string): string {
  const value = from[name];
  if (typeof value === "string") return value;
  throw wrong(name, "a text");
}

/** A text that a program can be given: the kernel ends it at a NUL. */
function plain(value: unknown, name: string): string {
  if (typeof value === "string" && !value.includes("\0")) return value;
  throw wrong(name, "a text without NUL");
}

function whole(value: unknown, name: string): number {
  if (typeof value === "number" && Number.isSafeInteger(value)) return value;
  throw wrong(name, "a whole number");
}

function positive(from: Fields, name: string): number {
  const value = from[name];
  if (typeof value === "number" && value > 0) return value;
  throw wrong(name, "a number above 0");
}

function texts(from: Fields, name: string): Record<string, string> {
  const entries = Object.entries(fields(from[name], name));
  for (const [key, value] of entries) {
    if (key === "" || /[=\0]/.test(key)) throw wrong(name, "an object with names of variables");
    plain(value, `${name}.${key}`);
  }
  return Object.fromEntries(entries) as Record<string, string>;
}

function wrong(name: string, expected: string): RequestError {
  return new RequestError(422, "validation_failed", `${name} must be ${expected}`);
}

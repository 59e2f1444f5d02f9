import {
  AGENT_TIMEOUT_DEFAULT_S,
  type FailureCode,
  MANIFEST_FILE,
  Manifest,
  type ResolvedManifest,
  type RuntimeName,
  runtimeOf,
} from "@raworc/contract";
import type { z } from "zod";
import { findJsonFault } from "./json-fault.ts";
import { nearestNames } from "./nearest-names.ts";

/** A file or folder directly in the agent's folder. */
export interface FolderEntry {
  readonly name: string;
  readonly kind: "file" | "folder" | "other";
}

/** What an agent's folder says about how it is built and run. */
export interface AgentPlan {
  readonly runtime: RuntimeName;
  /** The interpreter asked for by `python3.x`. */
  readonly interpreter: string | undefined;
  /** Undefined for Rust without a handler: its package says what there is to run. */
  readonly handler: string | undefined;
  readonly buildCommand: string | undefined;
  readonly systemPackages: readonly string[];
  readonly timeoutSeconds: number;
  readonly environment: Readonly<Record<string, string>>;
}

/** An agent's folder that can't be built as it is. The message is for its author. */
export class ManifestError extends Error {
  override readonly name = "ManifestError";
  readonly code: Extract<FailureCode, "manifest_invalid" | "runtime_unknown" | "handler_not_found">;

  constructor(code: ManifestError["code"], message: string) {
    super(message);
    this.code = code;
  }
}

const DEFAULT_HANDLERS: Record<RuntimeName, string | undefined> = {
  python: "main.process_message",
  node: "index.processMessage",
  rust: undefined,
};

/** Files that stand for a runtime; a lone Python file says so only where nothing else does. */
const MARKERS: Record<RuntimeName, readonly string[]> = {
  python: ["requirements.txt", "pyproject.toml"],
  node: ["package.json"],
  rust: ["Cargo.toml"],
};

const RUNTIMES_ACCEPTED =
  "python (python3, python3.x), node (nodejs, javascript, typescript) or rust; Go, Ruby and others can't be run";

/** What each field takes, for the author of a wrong one. */
const ACCEPTED: Record<keyof Manifest, string> = {
  runtime: RUNTIMES_ACCEPTED,
  handler: 'a text such as "main.process_message", up to 256 characters',
  build_command: "a shell command as a text, up to 8192 characters",
  description: "a text of up to 4096 characters",
  purpose: "a text of up to 4096 characters",
  timeout_s: "a number of seconds above 0, up to 86400",
  env: 'an object of texts such as {"MODE": "fast"}; names have letters, digits and _ and start with no digit',
  system_packages: 'a list of up to 100 Debian package names such as ["ffmpeg"]',
};

/** From the entries of the agent's folder and the text of its raworc.json, if there is one. Throws ManifestError. */
export function planAgent(entries: readonly FolderEntry[], manifestText: string | undefined): AgentPlan {
  const manifest = manifestText === undefined ? {} : readManifest(manifestText);
  const runtime = manifest.runtime === undefined ? detectRuntime(entries) : runtimeOf(manifest.runtime);
  if (runtime === undefined) throw new ManifestError("runtime_unknown", `"runtime" takes ${RUNTIMES_ACCEPTED}`);
  const handler = manifest.handler ?? DEFAULT_HANDLERS[runtime];
  if (handler !== undefined) checkHandler(runtime, handler);
  return {
    runtime,
    interpreter: /^python3\.\d+$/i.test(manifest.runtime ?? "") ? manifest.runtime?.toLowerCase() : undefined,
    handler,
    buildCommand: manifest.build_command,
    systemPackages: manifest.system_packages ?? [],
    timeoutSeconds: manifest.timeout_s ?? AGENT_TIMEOUT_DEFAULT_S,
    environment: manifest.env ?? {},
  };
}

/** The plan with what the build found filled in: the form that is stored with the artifact. */
export function resolveManifest(
  plan: AgentPlan,
  built: Pick<ResolvedManifest, "handler" | "kind" | "program">,
): ResolvedManifest {
  const { runtime, timeoutSeconds, environment } = plan;
  return { runtime, timeout_s: timeoutSeconds, env: { ...environment }, ...built };
}

/** Parses and checks a raworc.json. Throws ManifestError that names the field, what is there and what is accepted. */
export function readManifest(text: string): Manifest {
  const clean = text.replace(/^\uFEFF/, "");
  let value: unknown;
  try {
    value = JSON.parse(clean);
  } catch {
    const fault = findJsonFault(clean);
    const place = fault === undefined ? "" : ` at line ${fault.line}, column ${fault.column}: ${fault.reason}`;
    throw new ManifestError("manifest_invalid", `${MANIFEST_FILE} is not valid JSON${place}.`);
  }
  const parsed = Manifest.safeParse(value);
  if (parsed.success) return parsed.data;
  const faults = parsed.error.issues.map((issue) => describeIssue(issue, value));
  const unknownRuntime = parsed.error.issues.every(({ path }) => path[0] === "runtime") && isText(value, "runtime");
  throw new ManifestError(
    unknownRuntime ? "runtime_unknown" : "manifest_invalid",
    `${MANIFEST_FILE} is not right: ${faults.join("; ")}.`,
  );
}

function describeIssue(issue: z.core.$ZodIssue, manifest: unknown): string {
  const field = issue.path[0];
  if (field === undefined) {
    if (issue.code === "unrecognized_keys") return issue.keys.slice(0, 10).map(describeUnknownField).join("; ");
    return `it is ${describeValue(manifest)}; it must be an object such as {"runtime": "python"}`;
  }
  const name = issue.path.map(String).join(".");
  if (issue.code === "invalid_key") return `"${shorten(name)}" is no name of a variable; "env" takes ${ACCEPTED.env}`;
  const accepted = Object.entries(ACCEPTED).find(([known]) => known === field)?.[1] ?? "something else";
  return `"${shorten(name)}" is ${describeValue(valueAt(manifest, issue.path))}; it takes ${accepted}`;
}

function describeUnknownField(field: string): string {
  const known = Object.keys(ACCEPTED);
  const [near] = nearestNames(field, known, 1);
  const hint = near === undefined ? `the fields are ${known.join(", ")}` : `did you mean "${near}"?`;
  return `there is no field "${shorten(field)}"; ${hint}`;
}

function describeValue(value: unknown): string {
  if (value === undefined) return "missing";
  if (value === null) return "null";
  if (typeof value === "string") return value === "" ? "an empty text" : `the text ${JSON.stringify(shorten(value))}`;
  if (Array.isArray(value)) return `a list of ${value.length}`;
  return typeof value === "object" ? "an object" : `${typeof value} ${shorten(String(value))}`;
}

function valueAt(value: unknown, path: readonly PropertyKey[]): unknown {
  let current = value;
  for (const key of path) {
    if (typeof current !== "object" || current === null) return undefined;
    current = Object.entries(current).find(([name]) => name === String(key))?.[1];
  }
  return current;
}

function isText(value: unknown, field: string): boolean {
  return typeof valueAt(value, [field]) === "string";
}

function shorten(text: string): string {
  return text.length > 80 ? `${text.slice(0, 80)}…` : text;
}

function detectRuntime(entries: readonly FolderEntry[]): RuntimeName {
  const files = new Set(entries.filter(({ kind }) => kind === "file").map(({ name }) => name));
  const found = Object.entries(MARKERS).flatMap(([runtime, names]) => {
    const there = names.filter((name) => files.has(name));
    return there.length === 0 ? [] : [{ runtime, there }];
  });
  const [first, second] = found;
  if (first !== undefined && second !== undefined) {
    const all = found.flatMap(({ there }) => there).join(" and ");
    const message = `The runtime can't be told: there are ${all}. Say which one to use in ${MANIFEST_FILE}, for example {"runtime": "${first.runtime}"}.`;
    throw new ManifestError("runtime_unknown", message);
  }
  const only = first === undefined ? undefined : runtimeOf(first.runtime);
  if (only !== undefined) return only;
  if ([...files].some((name) => name.endsWith(".py"))) return "python";
  const script = [...files].find((name) => /\.[cm]?[jt]s$/.test(name));
  const hint = script === undefined ? "" : ` There is ${shorten(script)}: for Node write {"runtime": "node"}.`;
  throw new ManifestError(
    "runtime_unknown",
    `The runtime can't be told: there is no requirements.txt, pyproject.toml, *.py, package.json or Cargo.toml. Add one, or a ${MANIFEST_FILE} with "runtime".${hint}`,
  );
}

/** Only what can't be right whatever the code holds; a build looks for the file, the worker for the function. */
function checkHandler(runtime: RuntimeName, handler: string): void {
  const fault = handlerFault(runtime, handler);
  if (fault === undefined) return;
  throw new ManifestError(
    "manifest_invalid",
    `${MANIFEST_FILE} is not right: "handler" is ${JSON.stringify(shorten(handler))}; ${fault}.`,
  );
}

function handlerFault(runtime: RuntimeName, handler: string): string | undefined {
  if (/[\p{Cc}\s\\]/u.test(handler)) return "it must not hold white space";
  if (runtime === "rust") {
    const known = /^[A-Za-z_][\w-]*(?:(?:\.|::)[A-Za-z_]\w*)?$/.test(handler);
    return known ? undefined : "for Rust write lib.function, crate::function, or the name of a binary";
  }
  if (handler.startsWith("/") || handler.split("/").includes("..")) {
    return "it must name a module below the agent's folder";
  }
  const { module, member } = splitHandler(handler);
  const example = DEFAULT_HANDLERS[runtime] ?? "";
  if (module === "" || !/^[\p{ID_Start}_$][\p{ID_Continue}$]*$/u.test(member)) {
    return `write a module and what it holds, with a dot between, such as "${example}"`;
  }
  return undefined;
}

/** `module.member`: the last dot divides. */
export function splitHandler(handler: string): { readonly module: string; readonly member: string } {
  const dot = handler.lastIndexOf(".");
  return dot < 0 ? { module: handler, member: "" } : { module: handler.slice(0, dot), member: handler.slice(dot + 1) };
}

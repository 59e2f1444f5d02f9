import { nearestNames } from "../../domain/nearest-names.ts";
import { BuildFailure } from "./build-failure.ts";
import { findFiles, runScript } from "./script.ts";
import type { StepRunner } from "./step-runner.ts";

/** How one language's modules are looked through, without running them. */
export interface ModuleLanguage {
  /** Each definition that a handler could be; the first group is its name. */
  readonly definitions: RegExp;
  /** What may bring in names that the text doesn't hold: nothing is said then. */
  readonly opaque: RegExp;
  readonly example: string;
}

/** A file that may be the handler's module, and what it must hold then. */
export interface ModuleCandidate {
  /** Relative to the agent's folder. */
  readonly file: string;
  readonly member: string;
}

const MODULE_MAX_BYTES = 1024 * 1024;
const NAMES_SHOWN = 6;
/** Names that are compared for a hint: comparing takes time, and the text is a stranger's. */
const NAMES_COMPARED = 500;
const WORD = /[\p{ID_Start}_$][\p{ID_Continue}$]*/gu;

export const PYTHON: ModuleLanguage = {
  definitions: /^(?:async[ \t]+)?(?:def|class)[ \t]+(\w+)|^(\w+)[ \t]*(?::[^=\n]+)?=(?!=)/gm,
  opaque: /^[ \t]*from[ \t]+\S+[ \t]+import[ \t]*\*|\b(?:globals|vars|exec|setattr|__getattr__)\b/m,
  example: "def process_message(message, context):",
};

export const JAVASCRIPT: ModuleLanguage = {
  definitions:
    /\bexport\s+(?:async\s+)?(?:function\s*\*?|const|let|var|class)\s+([\p{ID_Start}$_][\p{ID_Continue}$]*)|\bexports\.([\p{ID_Start}$_][\p{ID_Continue}$]*)\s*=/gu,
  opaque: /\bexport\s*(?:default\b|\*)|\bas\s+default\b|\bmodule\.exports\b|\bexports\s*[[,)]|\bdefineProperty\b/,
  example: "export async function processMessage(message, context) {",
};

/**
 * Fails where a module surely doesn't hold the handler. Whether it can be called, the worker finds out: running the module
 * while it is built would need its secrets. Throws BuildFailure `handler_not_found`.
 */
export async function checkMember(
  steps: StepRunner,
  directory: string,
  language: ModuleLanguage,
  handler: string,
  { member, file }: ModuleCandidate,
): Promise<void> {
  const script = 'head -c "$2" -- "$1"';
  const call = {
    label: `read ${file}`,
    script,
    arguments: [file, String(MODULE_MAX_BYTES)],
    cwd: directory,
    quiet: true,
  };
  const { stdout } = await runScript(steps, call);
  const fault = findMemberFault(new TextDecoder().decode(stdout), member, language);
  if (fault === undefined || stdout.length === MODULE_MAX_BYTES) return;
  const message = `The handler ${JSON.stringify(handler)} is not there: ${file} has no ${member}. ${fault} Add it, such as \`${language.example}\`, or set "handler" in raworc.json.`;
  throw new BuildFailure("handler_not_found", message);
}

/** Says what there is instead; undefined where the member is there or can't be excluded. */
export function findMemberFault(text: string, member: string, language: ModuleLanguage): string | undefined {
  if (language.opaque.test(text) || text.matchAll(WORD).some(([word]) => word === member)) return undefined;
  const names = text.matchAll(language.definitions).map(([, one, other]) => one ?? other ?? "");
  const different = [...new Set(names.filter((name) => name !== "" && name.length <= 80).take(NAMES_COMPARED))];
  if (different.length === 0) return "It defines nothing that could be called.";
  const near = nearestNames(member, different, 2);
  if (near.length > 0) return `Did you mean ${near.join(" or ")}?`;
  return `It has ${different.slice(0, NAMES_SHOWN).join(", ")}${different.length > NAMES_SHOWN ? ", …" : ""}.`;
}

/** The first of these that is there; a `*` stands for any part of a name. Throws BuildFailure `handler_not_found`. */
export async function findModule(
  steps: StepRunner,
  directory: string,
  candidates: readonly ModuleCandidate[],
  missing: { readonly handler: string; readonly hint: string },
): Promise<ModuleCandidate> {
  const wanted = candidates.map(({ file }) => file);
  const [found] = await findFiles(steps, directory, wanted);
  const member = candidates.find(({ file }) => file === found?.wanted)?.member;
  if (found !== undefined && member !== undefined) return { file: found.file, member };
  const { handler, hint } = missing;
  const message = `The handler ${JSON.stringify(handler)} is not there: the agent has no ${wanted.slice(0, 2).join(" or ")}. ${hint}`;
  throw new BuildFailure("handler_not_found", message);
}

import { readFile } from "node:fs/promises";
import { InvalidArgumentError, Option } from "commander";
import type { Command } from "./command.ts";
import type { Context } from "./context.ts";
import { UsageFailure } from "./failure.ts";
import type { RouteField } from "./route-fields.ts";
import { readAll } from "./text-lines.ts";

const flagOf = (name: string): string => `--${name.replaceAll("_", "-")}`;
/** As Commander names an option's value. */
const valueNameOf = (name: string): string => name.replace(/_([a-z])/g, (_, letter: string) => letter.toUpperCase());

/** Gives a command one option for each field of a body. Required fields are left to the server, which names all that miss. */
export function addFieldOptions(command: Command, fields: readonly RouteField[], hidden?: string): void {
  for (const field of fields) {
    const flag = flagOf(field.name);
    const needed = field.required ? " (needed)" : "";
    if (field.kind === "switch") {
      command.addOption(
        new Option(`${flag} [true|false]`, `${field.description ?? ""}${needed}`).argParser(readSwitch).preset(true),
      );
      continue;
    }
    const value = field.kind === "json" ? "<json>" : field.kind === "number" ? "<number>" : "<text>";
    const nothing = field.nullable ? "'null' for none" : "";
    const choices = field.choices === undefined ? "" : field.choices.join(", ");
    const stdin = field.name === hidden ? "- reads it from stdin" : "";
    const notes = [field.description ?? "", choices, nothing, stdin].filter((note) => note !== "").join("; ");
    command.addOption(
      new Option(`${flag} ${value}`, `${notes}${needed}`.trim()).argParser((text) => readField(field, text)),
    );
  }
}

/** The fields that were given as options. */
export function readFieldOptions(
  options: Readonly<Record<string, unknown>>,
  fields: readonly RouteField[],
): Record<string, unknown> {
  const given = fields.map(({ name }) => [name, options[valueNameOf(name)]] as const);
  return Object.fromEntries(given.filter(([, value]) => value !== undefined));
}

function readField(field: RouteField, text: string): unknown {
  if (field.nullable && text === "null") return null;
  if (field.kind === "number") {
    const value = Number(text);
    if (text.trim() === "" || Number.isNaN(value)) throw new InvalidArgumentError("Use a number.");
    return value;
  }
  if (field.kind !== "json") return text;
  try {
    return JSON.parse(text);
  } catch {
    throw new InvalidArgumentError(`Use JSON, for example '{"key": "value"}'.`);
  }
}

function readSwitch(text: string): boolean {
  if (text === "true" || text === "false") return text === "true";
  throw new InvalidArgumentError("Use true or false.");
}

/** A body out of a file of JSON or YAML; `-` is stdin. */
export async function readBodyFile(context: Context, path: string): Promise<Record<string, unknown>> {
  const { parse } = await import("yaml");
  let value: unknown;
  try {
    value = parse(path === "-" ? await readAll(context.streams.stdin) : await readFile(path, "utf8"));
  } catch (error) {
    throw new UsageFailure(`${path} can't be read: ${error instanceof Error ? error.message : String(error)}`);
  }
  if (typeof value === "object" && value !== null && !Array.isArray(value)) return value as Record<string, unknown>;
  throw new UsageFailure(`${path} has no object with fields.`);
}

import type { Command } from "../../command.ts";
import type { Place } from "../../resource-calls.ts";
import { RESOURCE_KINDS, type ResourceKind } from "../../resource-kinds.ts";

/** Options that say where a resource lies, in the order of their use. */
export interface PlaceOptions {
  readonly space?: string;
  readonly [parent: string]: unknown;
}

/** Gives a command the options for where things lie; for one kind only those that it needs. */
export function addPlaceOptions(command: Command, kind?: ResourceKind): void {
  if (kind === undefined || kind.singular !== "space") {
    command.option("-s, --space <space>", "space (default: default; of sessions: all)");
  }
  const kinds = kind === undefined ? RESOURCE_KINDS : [kind];
  for (const parent of new Set(kinds.flatMap(({ parents }) => Object.values(parents ?? {})))) {
    command.option(`--${parent} <id>`, `${parent} in which they lie`);
  }
}

export function placeOf(kind: ResourceKind, options: PlaceOptions): Place {
  const parents = Object.values(kind.parents ?? {}).map((name) => [name, options[name] as string | undefined] as const);
  return { space: options.space, parents: Object.fromEntries(parents) };
}

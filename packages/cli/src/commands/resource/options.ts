import type { Command } from "../../command.ts";
import type { Place } from "../../resource-calls.ts";
import { RESOURCE_KINDS, type ResourceKind } from "../../resource-kinds.ts";
import { parametersOf } from "../../route-fields.ts";

/** Options that say where a resource lies, in the order of their use. */
export interface PlaceOptions {
  readonly space?: string;
  readonly [parent: string]: unknown;
}

/** Whether the kind's paths name a space. */
export function liesInSpace(kind: ResourceKind): boolean {
  const route = kind.routes.list ?? kind.routes.create;
  return route !== undefined && parametersOf(route).includes("space");
}

/** Gives a command the options for where things lie; for one kind only those that it needs. */
export function addPlaceOptions(command: Command, kind?: ResourceKind): void {
  if (kind === undefined) command.option("-s, --space <space>", "space in which they lie (default: default, or all)");
  else if (liesInSpace(kind)) command.option("-s, --space <space>", "space in which they lie (default: default)");
  else if (kind.singular !== "space" && kind.parents === undefined) command.option("-s, --space <space>", "space");
  const kinds = kind === undefined ? RESOURCE_KINDS : [kind];
  for (const parent of new Set(kinds.flatMap(({ parents }) => Object.values(parents ?? {})))) {
    command.option(`--${parent} <id>`, `${parent} in which they lie`);
  }
}

export function placeOf(kind: ResourceKind, options: PlaceOptions): Place {
  const parents = Object.values(kind.parents ?? {}).map((name) => [name, options[name] as string | undefined] as const);
  return { space: options.space, parents: Object.fromEntries(parents) };
}

import { UsageFailure } from "./failure.ts";
import type { Overrides } from "./local-server.ts";

/** What one process of a control plane does: answer the API, and drive sessions, messages and builds. */
export const COMPONENTS = ["server", "operator"] as const;
export type Component = (typeof COMPONENTS)[number];

/** The components of these names; all where none is named. Throws UsageFailure for a name that is none. */
export function readComponents(names: readonly string[]): readonly Component[] {
  const unknown = names.find((name) => !(COMPONENTS as readonly string[]).includes(name));
  if (unknown !== undefined) {
    throw new UsageFailure(`There is no component ${unknown}.`, [
      `use ${COMPONENTS.join(" or ")}; without a name both run, in one process`,
    ]);
  }
  return names.length === 0 ? COMPONENTS : COMPONENTS.filter((name) => names.includes(name));
}

const VARIABLE = "RAWORC_COMPONENTS";

/** The variable that makes a process hold these components only. */
export function withComponents(overrides: Overrides, components: readonly Component[]): Overrides {
  const { [VARIABLE]: _, ...others } = overrides;
  return components.length === COMPONENTS.length ? others : { ...others, [VARIABLE]: components.join(",") };
}

/** What a process that is started with these variables holds. */
export function componentsOf(variables: Readonly<Record<string, string | undefined>>): readonly Component[] {
  return readComponents((variables[VARIABLE] ?? "").split(/[\s,]+/).filter((name) => name !== ""));
}

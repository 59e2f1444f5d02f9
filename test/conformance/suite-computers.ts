import type { RuntimeDriver } from "../../packages/server/src/runtime/driver.ts";
import type { specOf } from "./computer-calls.ts";

/** What the parts of the drivers' suite have in common while they run. */
export interface SuiteComputers {
  /** Another one once it was closed and opened again. */
  readonly driver: RuntimeDriver;
  /** Id of a computer that the tests share which only look at it. */
  readonly shared: string;
  /** Gives the id of a computer that is removed at the end, if not before. */
  readonly started: (given?: Parameters<typeof specOf>[0]) => Promise<string>;
  readonly remove: (id: string) => Promise<void>;
  /** What a command prints; in the shared computer where no other is named. */
  readonly inside: (command: string | string[], id?: string) => Promise<string>;
  /** What is left on the machine of a computer: processes, mounts, control groups, folders, containers, volumes. */
  readonly traces: (id: string) => Promise<readonly string[]>;
}

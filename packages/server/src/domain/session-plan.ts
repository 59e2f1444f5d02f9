import type { SessionState, SessionTier } from "@raworc/contract";

/** What the planner needs of a session's record. */
export interface SessionRecord {
  readonly state: SessionState;
  readonly desired: "running" | "deleted" | "removed";
  /** Where an idle session's memory is to be. */
  readonly tier: SessionTier;
  /** Whether a step that may have made something has begun. */
  readonly attempted: boolean;
  /** False for a fork whose files are still those of its parent alone. */
  readonly copied: boolean;
}

export interface ObservedSession {
  readonly computer: "absent" | "created" | "running" | "frozen" | "stopped";
  readonly volume: boolean;
  /** This server has handed over identity, environment and agents, and the connection has not failed since. */
  readonly claimed: boolean;
}

export const SESSION_STEPS = [
  "record_attempt",
  "copy_volume",
  "start",
  "thaw",
  "claim",
  "record_ready",
  "freeze",
  "stop",
  "record_stopped",
  "remove",
  "record_removed",
] as const;
export type SessionStep = (typeof SESSION_STEPS)[number];

/** From what should be and what is to the steps to take now. Pure; after the steps everything is read again. */
export function planSession(record: SessionRecord, observed: ObservedSession): readonly SessionStep[] {
  switch (record.desired) {
    case "removed":
      return observed.computer === "absent" && !observed.volume ? [] : ["remove"];
    case "deleted":
      return record.attempted || observed.computer !== "absent" || observed.volume
        ? ["remove", "record_removed"]
        : ["record_removed"];
    case "running":
      return planLive(record, observed);
  }
}

function planLive(record: SessionRecord, observed: ObservedSession): readonly SessionStep[] {
  switch (record.state) {
    case "error":
    case "deleted":
      return [];
    case "paused":
      return planStopped(observed);
    case "idle":
      if (record.tier === "frozen") return planFrozen(observed);
      if (record.tier === "stopped") return planStopped(observed);
      return planRunning(record, observed);
    default:
      return planRunning(record, observed);
  }
}

function planRunning(record: SessionRecord, observed: ObservedSession): readonly SessionStep[] {
  const ready: readonly SessionStep[] = record.state === "init" ? ["record_ready"] : [];
  const copy: readonly SessionStep[] = record.copied ? [] : ["copy_volume"];
  switch (observed.computer) {
    case "running":
      return observed.claimed ? ready : ["start", "claim", ...ready];
    case "frozen":
      return observed.claimed ? ["thaw", ...ready] : ["thaw", "start", "claim", ...ready];
    default:
      return [...(record.attempted ? [] : (["record_attempt"] as const)), ...copy, "start", "claim", ...ready];
  }
}

function planFrozen(observed: ObservedSession): readonly SessionStep[] {
  switch (observed.computer) {
    case "running":
      return ["freeze"];
    case "frozen":
      return [];
    default:
      // Its memory went with the machine or the engine: what is left are the files.
      return ["record_stopped"];
  }
}

function planStopped(observed: ObservedSession): readonly SessionStep[] {
  switch (observed.computer) {
    case "running":
      return ["stop"];
    case "frozen":
      return ["thaw", "stop"];
    default:
      return [];
  }
}

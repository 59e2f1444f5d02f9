import type { SessionState } from "@raworc/contract";

/** What the planner needs of a session's record. */
export interface SessionRecord {
  readonly state: SessionState;
  readonly desired: "running" | "deleted" | "removed";
  /** Whether a step that may have made something has begun. */
  readonly attempted: boolean;
}

export interface ObservedSession {
  readonly computer: "absent" | "created" | "running" | "frozen" | "stopped";
  readonly volume: boolean;
  /** This server has handed over identity, environment and agents, and the connection has not failed since. */
  readonly claimed: boolean;
}

export type SessionStep = "record_attempt" | "start" | "thaw" | "claim" | "record_ready" | "remove" | "record_removed";

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
      return planRunning(record, observed);
  }
}

function planRunning(record: SessionRecord, observed: ObservedSession): readonly SessionStep[] {
  if (record.state === "error" || record.state === "paused" || record.state === "deleted") return [];
  const ready: readonly SessionStep[] = record.state === "init" ? ["record_ready"] : [];
  switch (observed.computer) {
    case "running":
      return observed.claimed ? ready : ["start", "claim", ...ready];
    case "frozen":
      return observed.claimed ? ["thaw", ...ready] : ["thaw", "start", "claim", ...ready];
    default:
      return record.attempted ? ["start", "claim", ...ready] : ["record_attempt", "start", "claim", ...ready];
  }
}

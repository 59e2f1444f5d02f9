import { SESSION_STEPS } from "./session-plan.ts";

/** Where a test may end the server's process: each step of a session, and what is done for messages, builds and the pool. */
export const FAULT_POINTS = [
  ...SESSION_STEPS,
  "message_begin",
  "message_open",
  "message_deliver",
  "message_end",
  "message_forget",
  "build_begin",
  "build_agent",
  "build_compose",
  "build_end",
  "pool_record",
  "pool_start",
  "pool_claim",
  "pool_session",
] as const;
export type FaultPoint = (typeof FAULT_POINTS)[number];

export const FAULT_MOMENTS = ["before", "after"] as const;

export interface Fault {
  readonly point: FaultPoint;
  readonly moment: (typeof FAULT_MOMENTS)[number];
}

/** Reads `start:after`. Undefined when it names no point or no moment. */
export function parseFault(text: string): Fault | undefined {
  const [name, when, ...more] = text.split(":");
  const point = FAULT_POINTS.find((each) => each === name);
  const moment = FAULT_MOMENTS.find((each) => each === when);
  return point === undefined || moment === undefined || more.length > 0 ? undefined : { point, moment };
}

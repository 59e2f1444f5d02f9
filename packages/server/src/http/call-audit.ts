import { isRaworcError, RESOURCES, type Resource, type Route, type RouteName } from "@raworc/contract";
import type { FastifyRequest } from "fastify";
import type { AuditLog } from "../audit/audit-log.ts";
import { AuditNote, withNote } from "../audit/audit-note.ts";
import type { RefusalBudget } from "../audit/refusal-budget.ts";
import type { Target } from "../domain/access.ts";
import { addressGroup } from "../security/source-address.ts";

/** What a call is called in the audit. */
export interface AuditWords {
  readonly action: string;
  readonly resource: string;
}

/** The last word of a route's name, on the noun of the first. */
export function auditedAs(name: RouteName, definition: Route): AuditWords {
  const [noun = "", action = ""] = name.split(".");
  if (noun === "auth") return { action, resource: "tokens" };
  const { access } = definition;
  const right = typeof access === "string" ? noun : access.resource;
  const isInSession = right.startsWith("session-");
  return { action, resource: RESOURCES.includes(noun as Resource) && !isInSession ? noun : right };
}

/** The note of a call, before anything is known but its route and where it comes from. */
export function noteOf(words: AuditWords, request: FastifyRequest): AuditNote {
  const note = new AuditNote({ ...words, requestId: request.id, address: request.ip });
  const { caller } = request;
  if (caller !== null) note.principal = { id: caller.principal.id, name: caller.principal.name };
  return note;
}

/** Tells the note what the call is about. */
export function describeTarget(note: AuditNote, target: Target, params: object): void {
  const { name, space } = target;
  if (space !== null && space !== "any") note.space = { id: space.id, name: space.name };
  const named = name ?? Object.entries(params).find(([key]) => key !== "space")?.[1];
  if (typeof named === "string") note.name = named;
}

/** Makes audit events of calls. */
export class CallAudit {
  readonly #log: AuditLog;
  readonly #refusals: RefusalBudget;

  constructor(log: AuditLog, refusals: RefusalBudget) {
    this.#log = log;
    this.#refusals = refusals;
  }

  /** Runs a call that changes something: its first change carries the event, or one is written when it has made none. */
  async change<T>(note: AuditNote, call: () => Promise<T>): Promise<T> {
    try {
      const answer = await withNote(note, call);
      await this.allowed(note);
      return answer;
    } finally {
      // What goes on after the answer is no part of the call.
      note.written = true;
    }
  }

  /** The event of a call that is allowed is there when this resolves. Repeatable. */
  async allowed(note: AuditNote): Promise<void> {
    if (note.written) return;
    await this.#log.write(note.toEntry("allowed"), note.companion);
    note.written = true;
  }

  /** Tells of a call that failed: of each change, and of each read that was refused. */
  async failed(note: AuditNote, error: unknown, isChange: boolean): Promise<void> {
    const code = isRaworcError(error) ? error.code : "internal";
    const isRefused = note.refused || code === "forbidden";
    if (!isRefused && !isChange) return;
    await this.#log.tell(note.toEntry(isRefused ? "denied" : "failed", { code }));
  }

  /** Tells of a call without a good token, within bounds. */
  async unauthenticated(note: AuditNote): Promise<void> {
    const leftOut = this.#refusals.take(addressGroup(note.address));
    if (leftOut === undefined) return;
    const details = { code: "unauthenticated", ...(leftOut === 0 ? {} : { left_out: leftOut }) };
    await this.#log.tell(note.toEntry("denied", details));
  }
}

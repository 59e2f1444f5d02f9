import { AsyncLocalStorage } from "node:async_hooks";
import type { AuditOutcome } from "@raworc/contract";
import type { AuditEntry } from "./audit-entry.ts";
import type { ChangeCompanion } from "./change-companion.ts";

/** What becomes an audit event of one call. Whoever handles the call may say more until it is written. */
export class AuditNote {
  principal: AuditEntry["principal"] = null;
  action: string;
  resource: string;
  name: string | null = null;
  space: AuditEntry["space"] = null;
  details: Record<string, unknown> = {};
  readonly requestId: string;
  readonly address: string;
  /** Whether there is a committed event that says that the call was allowed. */
  written = false;
  /** What is written with the event, in its transaction. */
  companion: ChangeCompanion | undefined;
  /** The call was refused for want of a right, however that looks to the caller. */
  refused = false;

  constructor(call: { action: string; resource: string; requestId: string; address: string }) {
    this.action = call.action;
    this.resource = call.resource;
    this.requestId = call.requestId;
    this.address = call.address;
  }

  /** The entry as it is now. */
  toEntry(outcome: AuditOutcome, details: AuditEntry["details"] = {}): AuditEntry {
    const { action, address, name, principal, requestId, resource, space } = this;
    return {
      principal,
      action,
      resource,
      name,
      space,
      outcome,
      requestId,
      address,
      details: { ...this.details, ...details },
    };
  }
}

const current = new AsyncLocalStorage<AuditNote>();

/** Runs a call whose first change carries the note's event in its own transaction. */
export function withNote<T>(note: AuditNote, call: () => T): T {
  return current.run(note, call);
}

/** Runs work that a call has woken and that is no part of it: its changes carry nothing. */
export function outsideOfCalls<T>(work: () => T): T {
  return current.exit(work);
}

/** Names what a call has made, which had no name before. Only within the change itself. */
export function nameSubject(name: string): void {
  const note = current.getStore();
  if (note !== undefined) note.name ??= name;
}

/** The note that a change which begins now must carry; undefined outside of calls, and when it is written. */
export function noteToWrite(): AuditNote | undefined {
  const note = current.getStore();
  return note === undefined || note.written ? undefined : note;
}

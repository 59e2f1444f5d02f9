import type { Logger } from "pino";
import { nextRest } from "../domain/idle-policy.ts";
import { findSession, type StoredSession, updateSession } from "../store/sessions.ts";
import { getSpaceById } from "../store/spaces.ts";
import type { Store } from "../store/store.ts";
import type { Leases } from "./leases.ts";
import type { SessionLog } from "./session-log.ts";
import { deleteSession } from "./session-requests.ts";
import type { Sessions } from "./sessions.ts";

export interface IdleOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly leases: Leases;
  readonly sessions: Sessions;
  readonly log: Logger;
}

/** The longest that a timer can wait; a rest that is due later is looked at again then. */
const TIMER_MAX_MS = 2_000_000_000;
/** A use is written to the record at most so often; in between it is known here alone. */
const RECORD_EVERY_MS = 5000;
const RETRY_MS = 10_000;

/**
 * Puts idle sessions to rest by their spaces' policies: freezes, stops, deletes. A use costs nothing here but a note of its
 * time: a timer that comes too early sets itself anew.
 */
export class Idle {
  readonly #options: IdleOptions;
  /** Undefined for sessions that are never put to rest as things are. */
  readonly #timers = new Map<string, NodeJS.Timeout | undefined>();
  readonly #lastUse = new Map<string, { at: number; recorded: number }>();
  #closed = false;

  constructor(options: IdleOptions) {
    this.#options = options;
  }

  /** The session is there, and this server drives it; its record tells of its last use. */
  watch(id: string): void {
    if (!this.#timers.has(id)) this.#arm(id, 0);
  }

  /** The session's computer is no longer used, or its message has ended. */
  used(id: string): void {
    if (this.#closed) return;
    const time = Date.now();
    const known = this.#lastUse.get(id);
    if (known === undefined) this.#lastUse.set(id, { at: time, recorded: time });
    else {
      known.at = time;
      if (time - known.recorded >= RECORD_EVERY_MS) {
        known.recorded = time;
        this.#record(id, time);
      }
    }
    this.watch(id);
  }

  /** The policy of these sessions' space has changed. */
  changed(ids: readonly string[]): void {
    for (const id of ids) this.#arm(id, 0);
  }

  /** The session is gone, or another server drives it. */
  forget(id: string): void {
    clearTimeout(this.#timers.get(id));
    this.#timers.delete(id);
    this.#lastUse.delete(id);
  }

  /** Writes down uses that are not yet in the records, and stops all timers. */
  async close(): Promise<void> {
    this.#closed = true;
    for (const timer of this.#timers.values()) clearTimeout(timer);
    this.#timers.clear();
    const unwritten = [...this.#lastUse].filter(([, { at, recorded }]) => at > recorded);
    await this.#options.store.write(async (transaction) => {
      for (const [id, { at }] of unwritten) await updateSession(transaction, id, { last_activity_at: timeText(at) });
    });
  }

  #arm(id: string, milliseconds: number): void {
    clearTimeout(this.#timers.get(id));
    if (this.#closed) return;
    const look = () => {
      this.#look(id).catch((error: unknown) => {
        this.#options.log.warn({ err: error, session: id }, "an idle session could not be put to rest; later again");
        this.#arm(id, RETRY_MS);
      });
    };
    this.#timers.set(id, setTimeout(look, Math.min(milliseconds, TIMER_MAX_MS)).unref());
  }

  async #look(id: string): Promise<void> {
    const { leases, sessions, store } = this.#options;
    const session = await findSession(store.read, id);
    if (session === undefined || session.desired !== "running" || !(await leases.hold("session", id))) {
      this.forget(id);
      return;
    }
    // A session that is busy or used comes back here by `used`.
    this.#timers.set(id, undefined);
    if (session.state !== "idle" || sessions.inUse(id)) {
      this.#timers.delete(id);
      return;
    }
    const rest = await this.#rest(session);
    if (rest === undefined) {
      // One that rests already is looked at again after its next use.
      if (session.tier !== "active") this.#timers.delete(id);
      return;
    }
    const left = rest.at - Date.now();
    if (left > 0) {
      this.#arm(id, left);
      return;
    }
    await this.#putToRest(id, rest.to);
    this.#arm(id, 0);
  }

  async #rest(session: StoredSession) {
    const space = await getSpaceById(this.#options.store.read, session.space_id);
    const lastUse = Math.max(Date.parse(session.last_activity_at), this.#lastUse.get(session.id)?.at ?? 0);
    return nextRest(space.settings.idle, session.tier, lastUse);
  }

  async #putToRest(id: string, to: "frozen" | "stopped" | "deleted"): Promise<void> {
    const { leases, sessionLog, sessions } = this.#options;
    await sessionLog.write(async (transaction, append) => {
      await leases.guard(transaction, "session", id);
      const session = await findSession(transaction, id);
      if (session?.state !== "idle" || session.desired !== "running" || sessions.inUse(id)) return;
      if (to === "deleted")
        await deleteSession(transaction, append, session, "It was idle for longer than its space allows");
      else await updateSession(transaction, id, { tier: to });
    });
    if (to === "deleted") sessions.interrupt(id);
    else sessions.wake(id);
  }

  #record(id: string, time: number): void {
    this.#options.store
      .write((transaction) => updateSession(transaction, id, { last_activity_at: timeText(time) }))
      .catch((error: unknown) => this.#options.log.debug({ err: error, session: id }, "a use is not yet recorded"));
  }
}

function timeText(milliseconds: number): string {
  return new Date(milliseconds).toISOString();
}

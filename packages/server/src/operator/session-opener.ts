import { isRaworcError } from "@raworc/contract";
import type { Logger } from "pino";
import type { RuntimeDriver } from "../runtime/driver.ts";
import { deletePoolComputer } from "../store/pool-computers.ts";
import { getSession, type StoredSession, updateSession } from "../store/sessions.ts";
import type { Store } from "../store/store.ts";
import { now } from "../store/time.ts";
import { fixedShape, sessionComputer } from "./computer-spec.ts";
import type { Faults } from "./faults.ts";
import { type EnvironmentOf, hostClaim } from "./host-claim.ts";
import type { Leases } from "./leases.ts";
import type { SessionLog } from "./session-log.ts";
import { createSession, type Requester, type SessionDraft } from "./session-requests.ts";
import type { Sessions } from "./sessions.ts";
import type { WarmComputer, WarmPool } from "./warm-pool.ts";

export interface SessionOpenerOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly leases: Leases;
  readonly sessions: Sessions;
  readonly pool: WarmPool;
  readonly driver: RuntimeDriver;
  readonly log: Logger;
  readonly faults: Faults;
  readonly environmentOf: EnvironmentOf;
}

type OnRecord = (session: StoredSession) => void;

/** Opens sessions: with a computer from the pool where one fits, else by asking the operator for a new one. */
export class SessionOpener {
  readonly #options: SessionOpenerOptions;

  constructor(options: SessionOpenerOptions) {
    this.#options = options;
  }

  /**
   * Gives the session as it is recorded: `idle` with a computer of the pool, else `init`. `onRecord` hears of it in the
   * transaction that records it.
   */
  async open(
    draft: SessionDraft,
    requester: Requester,
    signal: AbortSignal,
    onRecord: OnRecord = () => undefined,
  ): Promise<StoredSession> {
    return (
      (await this.#openWarm(draft, requester, signal, onRecord)) ?? (await this.#openCold(draft, requester, onRecord))
    );
  }

  async #openCold(draft: SessionDraft, requester: Requester, onRecord: OnRecord): Promise<StoredSession> {
    const { leases, sessionLog, sessions } = this.#options;
    const session = await sessionLog.write(async (transaction, append) => {
      const created = await createSession(transaction, append, draft, requester);
      await leases.take(transaction, "session", created.id);
      onRecord(created);
      return created;
    });
    leases.taken("session", session.id);
    sessions.wake(session.id);
    return session;
  }

  async #openWarm(
    draft: SessionDraft,
    requester: Requester,
    signal: AbortSignal,
    onRecord: OnRecord,
  ): Promise<StoredSession | undefined> {
    const { faults, leases, log, pool, sessions } = this.#options;
    const { build, space } = draft;
    const shape = fixedShape(sessionComputer({ id: "", ...draft }, space, build));
    const computer = await pool.take(space, build, shape, signal);
    if (computer === undefined) return undefined;
    // Side by side: who records a session waits for the disk, who hands it over for the host.
    const [claimed, recorded] = await Promise.allSettled([
      faults.around("pool_claim", () => this.#claim(computer, draft, signal)),
      faults.around("pool_session", () => this.#record(computer, draft, requester, onRecord)),
    ]);
    if (recorded.status === "rejected") {
      const error: unknown = recorded.reason;
      log.warn({ err: error, computer: computer.id }, "a computer of the pool could not be used");
      computer.connection.close();
      computer.release(false);
      // A refusal of the session itself would be the same without the pool.
      if (isRaworcError(error) && error.status < 500) throw error;
      return undefined;
    }
    const session = recorded.value;
    leases.taken("session", session.id);
    if (claimed.status === "fulfilled" && leases.claims) {
      sessions.adopt(session.id, computer.connection);
    } else if (claimed.status === "fulfilled") {
      // Whoever drives it hands its identity over once more, which changes nothing.
      computer.connection.close();
      sessions.wake(session.id);
    } else {
      log.warn({ err: claimed.reason, session: session.id }, "a computer of the pool is handed over once more");
      computer.connection.close();
      sessions.wake(session.id);
    }
    computer.release(true);
    return session;
  }

  async #claim(
    { connection, id, limits: made }: WarmComputer,
    draft: SessionDraft,
    signal: AbortSignal,
  ): Promise<void> {
    const { driver, environmentOf } = this.#options;
    const { build, limits, space } = draft;
    const same = (["cpus", "memory_mb", "pids"] as const).every((name) => limits[name] === made[name]);
    if (!same) await driver.changeLimits(id, limits);
    const subject = { id, space_id: space.id, space_name: space.name };
    await connection.claim(await hostClaim(subject, build, environmentOf), signal);
  }

  #record(
    computer: WarmComputer,
    draft: SessionDraft,
    requester: Requester,
    onRecord: OnRecord,
  ): Promise<StoredSession> {
    return this.#options.sessionLog.write(async (transaction, append) => {
      if (!(await deletePoolComputer(transaction, computer.id)))
        throw new Error("The computer is no longer the pool's");
      const { id } = await createSession(transaction, append, draft, requester, computer.id);
      await this.#options.leases.take(transaction, "session", id);
      await updateSession(transaction, id, {
        state: "idle",
        attempted: true,
        container_id: computer.containerId,
        persistent_volume_id: computer.volumeId,
        started_at: now(),
      });
      await append(id, [{ type: "session.state", data: { state: "idle" } }]);
      const recorded = await getSession(transaction, id);
      onRecord(recorded);
      return recorded;
    });
  }
}

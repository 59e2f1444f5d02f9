import { RaworcError } from "@raworc/contract";
import type { SessionStep } from "../domain/session-plan.ts";
import type { ComputerSpec, ObservedComputer, RuntimeDriver } from "../runtime/driver.ts";
import { HostConnection } from "../runtime/host-connection.ts";
import { findBuild, type StoredBuild } from "../store/builds.ts";
import { findSession, type SessionChange, type StoredSession, updateSession } from "../store/sessions.ts";
import { getSpaceById } from "../store/spaces.ts";
import type { Store } from "../store/store.ts";
import { now } from "../store/time.ts";
import type { ColdStarts } from "./cold-starts.ts";
import { sessionComputer } from "./computer-spec.ts";
import type { Connections } from "./connections.ts";
import { type EnvironmentOf, hostClaim } from "./host-claim.ts";
import type { Leases } from "./leases.ts";
import type { SessionLog } from "./session-log.ts";

/** What one turn of a session works with; steps change `observed` as the world changes. */
export interface SessionTurn {
  readonly session: StoredSession;
  readonly signal: AbortSignal;
  observed: ObservedComputer;
}

export interface SessionStepsOptions {
  readonly store: Store;
  readonly sessionLog: SessionLog;
  readonly leases: Leases;
  readonly driver: RuntimeDriver;
  readonly coldStarts: ColdStarts;
  readonly connections: Connections;
  readonly environmentOf: EnvironmentOf;
  /** Keeps turns of another session off while something is done to its computer. */
  readonly exclusive: <T>(sessionId: string, work: () => Promise<T>) => Promise<T>;
  /** Called when a session's computer is gone for good. */
  readonly onRemoved?: ((spaceId: string) => void) | undefined;
}

export type SessionSteps = Readonly<Record<SessionStep, (turn: SessionTurn) => Promise<void>>>;

const STOP_GRACE_MS = 2000;

/** How each step of a plan is taken. All may be repeated. Throws LeaseLost when another server drives the session now. */
export function createSessionSteps(options: SessionStepsOptions): SessionSteps {
  const { connections, driver, leases, sessionLog, store } = options;

  const record = (id: string, change: SessionChange): Promise<void> =>
    store.write(async (transaction) => {
      await leases.guard(transaction, "session", id);
      await updateSession(transaction, id, change);
    });

  /** There is nothing more to do for the session, so nobody needs its lease. */
  const recordRemoved = async ({ session: { id, space_id } }: SessionTurn): Promise<void> => {
    await store.write(async (transaction) => {
      await leases.guard(transaction, "session", id);
      await updateSession(transaction, id, { desired: "removed", container_id: null });
      await leases.giveUp(transaction, "session", id);
    });
    options.onRemoved?.(space_id);
  };

  const buildOf = async (session: StoredSession): Promise<StoredBuild | undefined> =>
    session.build_id === null ? undefined : findBuild(store.read, session.build_id);

  const specOf = async (session: StoredSession): Promise<ComputerSpec> =>
    sessionComputer(session, await getSpaceById(store.read, session.space_id), await buildOf(session));

  const claim = async ({ session, signal }: SessionTurn): Promise<void> => {
    const known = connections.outdated(session.id);
    const connection = known ?? new HostConnection(driver.socketDirectory(session.id));
    try {
      await connection.claim(await hostClaim(session, await buildOf(session), options.environmentOf), signal);
    } catch (error) {
      if (known === undefined) connection.close();
      throw error;
    }
    connections.add(session.id, connection);
  };

  const recordReady = async ({ session, observed }: SessionTurn): Promise<void> => {
    await sessionLog.write(async (transaction, append) => {
      await leases.guard(transaction, "session", session.id);
      const current = await findSession(transaction, session.id);
      if (current?.state !== "init" || current.desired !== "running") return;
      await updateSession(transaction, session.id, {
        state: "idle",
        container_id: observed.containerId,
        persistent_volume_id: observed.volumeId,
        started_at: now(),
        error: null,
      });
      await append(session.id, [{ type: "session.state", data: { state: "idle" } }]);
    });
  };

  const freeze = async ({ session, observed }: SessionTurn): Promise<void> => {
    if (!connections.rest(session.id)) return record(session.id, { tier: "active" });
    await lookedAtAfterFailure(session.id, () => driver.freeze(observed.id));
  };

  /** Of a computer that rests, what it was left as is taken for what it is. */
  const lookedAtAfterFailure = async (id: string, change: () => Promise<void>): Promise<void> => {
    try {
      await change();
    } catch (error) {
      connections.drop(id);
      throw error;
    }
  };

  /** The parent's processes stand still while its files are copied, so that the copy is of one moment. */
  const copyVolume = async ({ session, signal }: SessionTurn): Promise<void> => {
    const parentId = session.parent_session_id;
    if (parentId === null) throw new Error("A session without a parent has nothing to copy");
    await options.exclusive(parentId, async () => {
      const { status, volumeId } = await driver.observe(parentId);
      if (volumeId === null) {
        throw new RaworcError("conflict", "The session it was to be forked from is gone; fork another one.");
      }
      if (status === "running") await driver.freeze(parentId);
      try {
        await driver.copyVolume(parentId, session.id, signal);
      } finally {
        if (status === "running") await driver.thaw(parentId);
      }
    });
    await record(session.id, { copied: true });
  };

  return {
    record_attempt: ({ session }) => record(session.id, { attempted: true }),
    copy_volume: copyVolume,
    start: async (turn) => {
      const spec = await specOf(turn.session);
      turn.observed = await options.coldStarts.around(() => driver.start(spec, turn.signal));
    },
    thaw: async ({ session }) => {
      await lookedAtAfterFailure(session.id, () => driver.thaw(session.id));
      connections.rise(session.id);
    },
    claim,
    record_ready: recordReady,
    freeze,
    stop: async ({ session }) => {
      // A pause ends what runs; an idle time that is over doesn't.
      if (session.state === "idle" && connections.inUse(session.id)) return record(session.id, { tier: "active" });
      connections.drop(session.id);
      await driver.stop(session.id, STOP_GRACE_MS);
    },
    record_stopped: ({ session }) => record(session.id, { tier: "stopped" }),
    remove: async ({ session }) => {
      connections.drop(session.id);
      await driver.remove(session.id, { volume: true });
    },
    record_removed: recordRemoved,
  };
}

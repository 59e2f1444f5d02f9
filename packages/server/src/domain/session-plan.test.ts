import { describe, expect, it } from "vitest";
import { type ObservedSession, planSession, type SessionRecord } from "./session-plan.ts";

const record = (change: Partial<SessionRecord> = {}): SessionRecord => ({
  state: "init",
  desired: "running",
  tier: "active",
  attempted: false,
  copied: true,
  ...change,
});
const observed = (change: Partial<ObservedSession> = {}): ObservedSession => ({
  computer: "absent",
  volume: false,
  claimed: false,
  ...change,
});

describe("planSession", () => {
  it("makes a computer for a new session, and notes the attempt first", () => {
    expect(planSession(record(), observed())).toEqual(["record_attempt", "start", "claim", "record_ready"]);
  });

  it("takes up a running computer again after a restart of the server", () => {
    const plan = planSession(
      record({ state: "idle", attempted: true }),
      observed({ computer: "running", volume: true }),
    );
    expect(plan).toEqual(["start", "claim"]);
  });

  it("does nothing for a ready session", () => {
    const present = observed({ computer: "running", volume: true, claimed: true });
    expect(planSession(record({ state: "idle", attempted: true }), present)).toEqual([]);
    expect(planSession(record({ state: "busy", attempted: true }), present)).toEqual([]);
  });

  it("starts a computer again that has died", () => {
    const plan = planSession(
      record({ state: "busy", attempted: true }),
      observed({ computer: "stopped", volume: true }),
    );
    expect(plan).toEqual(["start", "claim"]);
  });

  it("thaws a frozen computer", () => {
    const present = observed({ computer: "frozen", volume: true, claimed: true });
    expect(planSession(record({ state: "idle", attempted: true }), present)).toEqual(["thaw"]);
  });

  it("freezes and stops an idle session by its tier, and never a busy one", () => {
    const running = observed({ computer: "running", volume: true, claimed: true });
    const idle = record({ state: "idle", attempted: true });
    expect(planSession({ ...idle, tier: "frozen" }, running)).toEqual(["freeze"]);
    expect(planSession({ ...idle, tier: "stopped" }, running)).toEqual(["stop"]);
    expect(planSession({ ...idle, tier: "stopped" }, { ...running, computer: "frozen" })).toEqual(["thaw", "stop"]);
    expect(planSession({ ...idle, state: "busy", tier: "frozen" }, running)).toEqual([]);
  });

  it("leaves a frozen computer frozen after a restart of the server", () => {
    const frozen = record({ state: "idle", attempted: true, tier: "frozen" });
    expect(planSession(frozen, observed({ computer: "frozen", volume: true }))).toEqual([]);
    expect(planSession(frozen, observed({ computer: "stopped", volume: true }))).toEqual(["record_stopped"]);
  });

  it("stops a paused session, and starts it when it is resumed", () => {
    const paused = record({ state: "paused", attempted: true, tier: "stopped" });
    expect(planSession(paused, observed({ computer: "running", claimed: true, volume: true }))).toEqual(["stop"]);
    expect(planSession(paused, observed({ computer: "stopped", volume: true }))).toEqual([]);
    const resumed = record({ state: "idle", attempted: true });
    expect(planSession(resumed, observed({ computer: "stopped", volume: true }))).toEqual(["start", "claim"]);
  });

  it("copies a fork's files before its first start", () => {
    const plan = planSession(record({ copied: false }), observed());
    expect(plan).toEqual(["record_attempt", "copy_volume", "start", "claim", "record_ready"]);
  });

  it("leaves a session in error alone until it is resumed", () => {
    expect(planSession(record({ state: "error", attempted: true }), observed())).toEqual([]);
  });

  it("removes all of a deleted session, also what a killed server may have begun", () => {
    const gone = record({ state: "deleted", desired: "deleted", attempted: true });
    expect(planSession(gone, observed())).toEqual(["remove", "record_removed"]);
    expect(planSession({ ...gone, attempted: false }, observed())).toEqual(["record_removed"]);
  });

  it("removes what appears again of a removed session", () => {
    const removed = record({ state: "deleted", desired: "removed", attempted: true });
    expect(planSession(removed, observed())).toEqual([]);
    expect(planSession(removed, observed({ volume: true }))).toEqual(["remove"]);
  });
});

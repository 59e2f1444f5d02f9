import type { IdlePolicy, SessionTier } from "@raworc/contract";

/** What an idle session is to be brought to, and when (milliseconds since the epoch). */
export interface Rest {
  readonly to: "frozen" | "stopped" | "deleted";
  readonly at: number;
}

const ORDER: Readonly<Record<SessionTier, number>> = { active: 0, frozen: 1, stopped: 2 };

/** The next rest of an idle session, counted from its last use. Undefined when it stays as it is for ever. */
export function nextRest(policy: IdlePolicy | undefined, tier: SessionTier, lastUse: number): Rest | undefined {
  if (policy === undefined) return undefined;
  const after = {
    frozen: policy.freeze_after_s,
    stopped: policy.stop_after_s ?? policy.pause_after_s,
    deleted: policy.delete_after_s,
  };
  const rests = (["frozen", "stopped", "deleted"] as const).flatMap((to): Rest[] => {
    const seconds = after[to];
    if (seconds == null || (to !== "deleted" && ORDER[to] <= ORDER[tier])) return [];
    return [{ to, at: lastUse + seconds * 1000 }];
  });
  // Of several that come at once, the deepest.
  return rests.reduce<Rest | undefined>(
    (first, rest) => (first === undefined || rest.at <= first.at ? rest : first),
    undefined,
  );
}

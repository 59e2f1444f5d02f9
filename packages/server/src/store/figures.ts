import { runStatement } from "./statement.ts";
import type { Reader } from "./store.ts";

interface Count {
  readonly labels: Readonly<Record<string, string>>;
  readonly count: number;
}

/** Sessions that are there, by state and tier. */
export async function countSessionsByState(reader: Reader): Promise<Count[]> {
  const rows = await reader
    .selectFrom("sessions")
    .select((builder) => ["state", "tier", builder.fn.countAll().as("count")])
    .where("terminated_at", "is", null)
    .groupBy(["state", "tier"])
    .execute();
  return rows.map(({ count, state, tier }) => ({ labels: { state, tier }, count: Number(count) }));
}

/** Messages that wait or run. */
export async function countOpenMessages(reader: Reader): Promise<Count[]> {
  // Written out as in the condition of the index that holds only such messages.
  const statement =
    "select status, count(*) as count from messages where status in ('queued', 'running') group by status";
  const rows = await runStatement<{ status: string; count: number }>(reader, statement);
  return rows.map(({ count, status }) => ({ labels: { status }, count: Number(count) }));
}

/** Builds that wait or run. */
export async function countOpenBuilds(reader: Reader): Promise<Count[]> {
  const rows = await reader
    .selectFrom("builds")
    .select((builder) => ["status", builder.fn.countAll().as("count")])
    .where("status", "in", ["pending", "building"])
    .groupBy("status")
    .execute();
  return rows.map(({ count, status }) => ({ labels: { status }, count: Number(count) }));
}

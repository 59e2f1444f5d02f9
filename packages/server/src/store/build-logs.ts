import { insertRows } from "./insert-rows.ts";
import type { BuildLogRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** Lines are numbered from 1 in a build. */
export async function appendBuildLog(
  transaction: Transaction,
  buildId: string,
  lines: readonly string[],
): Promise<void> {
  if (lines.length === 0) return;
  const last = await transaction
    .selectFrom("build_logs")
    .select((eb) => eb.fn.max("seq").as("seq"))
    .where("build_id", "=", buildId)
    .executeTakeFirst();
  const time = now();
  let seq = Number(last?.seq ?? 0);
  const rows: BuildLogRow[] = lines.map((line) => {
    seq += 1;
    return { build_id: buildId, seq, created_at: time, line };
  });
  await insertRows(transaction, "build_logs", rows);
}

export async function listBuildLog(
  reader: Reader,
  buildId: string,
  after: number,
  limit: number,
): Promise<BuildLogRow[]> {
  return reader
    .selectFrom("build_logs")
    .selectAll()
    .where("build_id", "=", buildId)
    .where("seq", ">", after)
    .orderBy("seq")
    .limit(limit)
    .execute();
}

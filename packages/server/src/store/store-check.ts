import { RaworcError } from "@raworc/contract";
import { sql } from "kysely";
import type { Reader } from "./store.ts";

/** Rejects with `not_ready` when the database doesn't answer within the time. */
export async function checkDatabase(reader: Reader, milliseconds: number): Promise<void> {
  const silent = new RaworcError("not_ready", `The database has not answered within ${milliseconds} ms.`);
  const answer = sql`select 1`.execute(reader);
  let timer: NodeJS.Timeout | undefined;
  const limit = new Promise<never>((_, reject) => {
    timer = setTimeout(() => reject(silent), milliseconds);
  });
  try {
    await Promise.race([answer, limit]);
  } finally {
    clearTimeout(timer);
  }
}

import { randomUUID } from "node:crypto";
import type { Transaction } from "./store.ts";

/** Id of this installation, made at first start; labels everything that Raworc makes on the machine. */
export async function ensureInstance(transaction: Transaction): Promise<string> {
  const row = await transaction
    .selectFrom("settings")
    .select("value")
    .where("name", "=", "instance")
    .executeTakeFirst();
  if (row !== undefined) return row.value;
  const instance = randomUUID();
  await transaction.insertInto("settings").values({ name: "instance", value: instance }).execute();
  return instance;
}

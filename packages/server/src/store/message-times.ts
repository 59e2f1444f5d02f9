import type { Reader, Transaction } from "./store.ts";

/** Notes that a space has taken a message, and forgets those from before a time. */
export async function noteMessageTime(
  transaction: Transaction,
  message: { readonly spaceId: string; readonly createdAt: string; readonly id: string },
  before: string,
): Promise<void> {
  const { createdAt, id, spaceId } = message;
  await transaction
    .deleteFrom("message_times")
    .where("space_id", "=", spaceId)
    .where("created_at", "<", before)
    .execute();
  await transaction
    .insertInto("message_times")
    .values({ space_id: spaceId, created_at: createdAt, message_id: id })
    .execute();
}

/** How many messages a space has taken since a time, and when the first of them came. */
export async function countMessageTimes(
  reader: Reader,
  spaceId: string,
  since: string,
): Promise<{ count: number; first: string | undefined }> {
  const row = await reader
    .selectFrom("message_times")
    .select((builder) => [builder.fn.countAll().as("count"), builder.fn.min("created_at").as("first")])
    .where("space_id", "=", spaceId)
    .where("created_at", ">=", since)
    .executeTakeFirstOrThrow();
  return { count: Number(row.count), first: row.first ?? undefined };
}

import type { ErrandRow } from "./rows.ts";
import type { Reader, Transaction } from "./store.ts";

/** What one server asks of the one that does the work of a session or a space. */
export type Errand = Readonly<ErrandRow>;

export async function insertErrand(transaction: Transaction, errand: Omit<Errand, "answer">): Promise<void> {
  await transaction
    .insertInto("errands")
    .values({ ...errand, answer: null })
    .execute();
}

export async function findErrand(reader: Reader, id: string): Promise<Errand | undefined> {
  return reader.selectFrom("errands").selectAll().where("id", "=", id).executeTakeFirst();
}

/** Those of servers that are there. */
export async function listErrands(reader: Reader, subject: string): Promise<Errand[]> {
  return reader
    .selectFrom("errands")
    .selectAll()
    .where("subject", "=", subject)
    .where("server_id", "in", reader.selectFrom("servers").select("id"))
    .execute();
}

export async function listErrandSubjects(reader: Reader): Promise<string[]> {
  const rows = await reader.selectFrom("errands").select("subject").groupBy("subject").execute();
  return rows.map(({ subject }) => subject);
}

/** Does nothing where the errand is gone: whoever asked has given it up. */
export async function answerErrand(transaction: Transaction, id: string, answer: string): Promise<void> {
  await transaction.updateTable("errands").set({ answer }).where("id", "=", id).execute();
}

export async function deleteErrand(transaction: Transaction, id: string): Promise<void> {
  await transaction.deleteFrom("errands").where("id", "=", id).execute();
}

import { randomUUIDv7 } from "node:crypto";
import type { CreateAgent } from "@raworc/contract";
import type { Scope } from "../domain/access-scope.ts";
import { decodeCursor, olderThan, type Page, pageOf } from "./cursors.ts";
import type { AgentRow } from "./rows.ts";
import { withinScope } from "./scopes.ts";
import type { Reader, Transaction } from "./store.ts";
import { now } from "./time.ts";

/** What is recorded of an agent. Its status, commit and runtime follow from the builds of its space. */
export interface StoredAgent extends Omit<AgentRow, "stopped"> {
  readonly stopped: boolean;
}

function toAgent(row: AgentRow): StoredAgent {
  return { ...row, stopped: row.stopped === 1 };
}

export async function findAgent(reader: Reader, spaceId: string, name: string): Promise<StoredAgent | undefined> {
  const row = await reader
    .selectFrom("agents")
    .selectAll()
    .where("space_id", "=", spaceId)
    .where("name", "=", name)
    .executeTakeFirst();
  return row === undefined ? undefined : toAgent(row);
}

export interface AgentQuery {
  readonly spaceId: string;
  readonly scope: Scope;
  readonly limit: number;
  readonly cursor?: string | undefined;
}

export async function listAgents(reader: Reader, query: AgentQuery): Promise<Page<StoredAgent>> {
  let select = reader
    .selectFrom("agents")
    .selectAll()
    .where("space_id", "=", query.spaceId)
    .where((builder) => withinScope(builder, query.scope, { spaceId: "space_id", name: "name" }));
  if (query.cursor !== undefined) {
    const cursor = decodeCursor(query.cursor);
    select = select.where((builder) => olderThan(builder, cursor, { createdAt: "created_at", id: "id" }));
  }
  const rows = await select
    .orderBy("created_at", "desc")
    .orderBy("id", "desc")
    .limit(query.limit + 1)
    .execute();
  return pageOf(rows, query.limit, toAgent);
}

/** All agents of a space that take part in builds, by name. */
export async function listBuildableAgents(reader: Reader, spaceId: string): Promise<StoredAgent[]> {
  const rows = await reader
    .selectFrom("agents")
    .selectAll()
    .where("space_id", "=", spaceId)
    .where("stopped", "=", 0)
    .orderBy("name")
    .execute();
  return rows.map(toAgent);
}

export async function insertAgent(
  transaction: Transaction,
  spaceId: string,
  createdBy: string,
  agent: CreateAgent,
): Promise<StoredAgent> {
  const time = now();
  const row: AgentRow = {
    id: randomUUIDv7(),
    space_id: spaceId,
    name: agent.name,
    description: agent.description,
    purpose: agent.purpose,
    source_repo: agent.source_repo,
    source_branch: agent.source_branch,
    source_path: agent.source_path,
    stopped: 0,
    created_at: time,
    updated_at: time,
    created_by: createdBy,
  };
  await transaction.insertInto("agents").values(row).execute();
  return toAgent(row);
}

type Changeable = "description" | "purpose" | "source_repo" | "source_branch" | "source_path" | "stopped";
export type AgentChange = { readonly [Field in Changeable]?: StoredAgent[Field] | undefined };

export async function updateAgent(transaction: Transaction, id: string, change: AgentChange): Promise<StoredAgent> {
  const { stopped, ...texts } = change;
  await transaction
    .updateTable("agents")
    .set({ ...texts, ...(stopped === undefined ? {} : { stopped: stopped ? 1 : 0 }), updated_at: now() })
    .where("id", "=", id)
    .execute();
  return toAgent(await transaction.selectFrom("agents").selectAll().where("id", "=", id).executeTakeFirstOrThrow());
}

export async function deleteAgent(transaction: Transaction, id: string): Promise<void> {
  await transaction.deleteFrom("agents").where("id", "=", id).execute();
}

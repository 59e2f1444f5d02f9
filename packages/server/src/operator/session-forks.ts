import { randomUUIDv7 } from "node:crypto";
import { RaworcError } from "@raworc/contract";
import { nameSubject } from "../audit/audit-note.ts";
import type { NewEvent } from "../store/events.ts";
import { copyMessages, findMessage, findReply, presentMessage } from "../store/messages.ts";
import { getSession, insertSession, type StoredSession } from "../store/sessions.ts";
import { getSpaceById } from "../store/spaces.ts";
import type { Transaction } from "../store/store.ts";
import { requireRoomForSession } from "./quotas.ts";
import type { Append } from "./session-log.ts";
import { type Requester, requireImage } from "./session-requests.ts";

export interface ForkRequest {
  readonly name?: string | undefined;
  /** A message of the parent; what came after its reply stays out. */
  readonly from_message?: string | undefined;
}

/**
 * Records a session that starts with another one's files and history. Its files are copied by the operator; messages and
 * events get ids of their own, queued messages stay with the parent. 409 unless the parent is idle or paused.
 */
export async function forkSession(
  transaction: Transaction,
  append: Append,
  parent: StoredSession,
  requester: Requester,
  request: ForkRequest,
): Promise<StoredSession> {
  if (parent.state !== "idle" && parent.state !== "paused") {
    throw new RaworcError(
      "wrong_state",
      `The session is in state ${parent.state}; only idle and paused can be forked.`,
    );
  }
  await requireRoomForSession(transaction, await getSpaceById(transaction, parent.space_id));
  await requireImage(transaction, parent.build_id);
  const upTo = await lastSeq(transaction, parent, request.from_message);
  const fork = await insertSession(transaction, {
    parentId: parent.id,
    spaceId: parent.space_id,
    name: request.name ?? null,
    createdBy: requester.name,
    ownerId: requester.id,
    buildId: parent.build_id,
    limits: parent.limits,
    network: parent.network,
    metadata: parent.metadata,
  });
  nameSubject(fork.id);
  const messages = await copyMessages(transaction, parent.id, fork.id, upTo, randomUUIDv7);
  const replies = new Map(messages.map((message) => [message.in_reply_to, message]));
  const events = messages
    .filter(({ role }) => role === "user")
    .flatMap((message): NewEvent[] => {
      const reply = replies.get(message.id);
      const end = {
        message_id: message.id,
        status: message.status,
        reply: reply === undefined ? null : presentMessage(reply),
        ...(message.error === null ? {} : { error: message.error }),
      };
      return [
        { type: "message.created", data: { ...presentMessage(message), message_id: message.id } },
        { type: "message.end", data: end },
      ];
    });
  await append(fork.id, [{ type: "session.state", data: { state: "init", parent_session_id: parent.id } }, ...events]);
  return getSession(transaction, fork.id);
}

async function lastSeq(
  transaction: Transaction,
  parent: StoredSession,
  messageId: string | undefined,
): Promise<number | undefined> {
  if (messageId === undefined) return undefined;
  const message = await findMessage(transaction, messageId);
  if (message?.session_id !== parent.id) {
    const detail = "from_message is no message of this session.";
    throw new RaworcError("validation_failed", detail, { errors: [{ path: "body.from_message", message: detail }] });
  }
  const reply = await findReply(transaction, message);
  return reply?.seq ?? message.seq;
}

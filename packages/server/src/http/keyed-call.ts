import type { FastifyReply, FastifyRequest } from "fastify";
import type { AuditNote } from "../audit/audit-note.ts";
import type { KeptAnswer } from "../store/idempotency-keys.ts";
import { SENT, type Sent } from "./call.ts";
import { etagOfText } from "./etag.ts";
import { type Idempotency, type KeyedCall, unknownEnd } from "./idempotency.ts";
import type { KeyedRequest } from "./keyed-request.ts";

/** Where a call keeps its key while it is handled. */
export interface KeyedStanding {
  keyed: KeyedRequest | undefined;
}

interface Call {
  readonly params: unknown;
  readonly body: unknown;
  readonly request: FastifyRequest;
  readonly reply: FastifyReply;
  readonly note: AuditNote;
}

interface Handling<T> {
  readonly handle: () => T | Promise<T>;
  readonly goOn: ((foreseen: unknown) => T | undefined | Promise<T | undefined>) | undefined;
}

/** Handles the first request of a key, and gives all others its answer. */
export async function answerOnce<T>(
  idempotency: Idempotency,
  asked: Pick<KeyedCall, "key" | "principalId" | "route" | "status">,
  { body, note, params, reply, request }: Call,
  standing: KeyedStanding,
  { goOn, handle }: Handling<T>,
): Promise<T | Sent | undefined> {
  const beginning = await idempotency.begin({ ...asked, params, body, query: request.query });
  if (beginning.kind === "first") {
    standing.keyed = beginning.request;
    note.companion = beginning.request;
    return handle();
  }
  // What the first request has changed was told of with it.
  note.written = true;
  if (beginning.kind === "again") return sendKept(reply, beginning.answer);
  standing.keyed = beginning.request;
  const { answer } = beginning;
  if (answer === undefined) throw unknownEnd();
  reply.header("idempotency-replayed", "true");
  if (goOn !== undefined) return goOn(JSON.parse(answer.body ?? "null"));
  await beginning.request.kept(answer);
  standing.keyed = undefined;
  return sendKept(reply, answer);
}

/** Headers of an answer that are given again with it. */
export function keptHeaders(reply: FastifyReply): Record<string, string> {
  const kept: Record<string, string> = {};
  for (const name of ["etag", "link", "location", "preference-applied"]) {
    const value = reply.getHeader(name);
    if (typeof value === "string") kept[name] = value;
  }
  return kept;
}

function sendKept(reply: FastifyReply, { body, headers, status }: KeptAnswer): Sent {
  reply.code(status).headers({ ...headers, "idempotency-replayed": "true" });
  if (body === null) {
    reply.send();
    return SENT;
  }
  if (!reply.hasHeader("etag") && !body.startsWith("[")) reply.header("etag", etagOfText(body));
  reply.type("application/json; charset=utf-8").send(body);
  return SENT;
}

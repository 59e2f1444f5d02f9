import { z } from "zod";
import { Metadata, QuerySwitch } from "./lists.ts";
import { Id, Name, Timestamp } from "./names.ts";

export const MESSAGE_ROLES = ["user", "agent", "system"] as const;
export const MESSAGE_STATUSES = ["queued", "running", "done", "failed", "cancelled"] as const;
export type MessageStatus = (typeof MESSAGE_STATUSES)[number];

/** 1 MiB of UTF-8. */
export const CONTENT_MAX_BYTES = 1024 * 1024;
/** A longer reply is cut to this many bytes of UTF-8; the whole is in a file below /session/logs. */
export const REPLY_MAX_BYTES = 4 * 1024 * 1024;
export const HISTORY_MAX_MESSAGES = 100;
export const HISTORY_MAX_BYTES = 256 * 1024;

/** `code` is one of FAILURES; `log` the stderr file, relative to the session's folder. */
export const MessageError = z.object({ code: z.string(), message: z.string(), log: z.string().nullable() });
export type MessageError = z.infer<typeof MessageError>;

export const Message = z.object({
  id: Id,
  session_id: Id,
  seq: z.number().int(),
  role: z.enum(MESSAGE_ROLES),
  agent: z.string().nullable(),
  in_reply_to: Id.nullable(),
  content: z.string(),
  metadata: Metadata,
  status: z.enum(MESSAGE_STATUSES),
  error: MessageError.nullable(),
  created_at: Timestamp,
});
export type Message = z.infer<typeof Message>;

export const CreateMessage = z.strictObject({
  content: z.string(),
  role: z.enum(MESSAGE_ROLES).default("user"),
  agent: Name.optional(),
  metadata: Metadata.default({}),
  wait: z.enum(["reply"]).optional(),
});
export type CreateMessage = z.infer<typeof CreateMessage>;

/** Answer with `wait: "reply"`. A cancelled message has no reply. */
export const MessageWithReply = z.object({ message: Message, reply: Message.nullable() });
export type MessageWithReply = z.infer<typeof MessageWithReply>;

/** `limit` alone gives the latest; `after` the next ones by seq, `before` those before it. Time order always. */
export const MessageListQuery = z.strictObject({
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  before: z.coerce.number().int().min(0).optional(),
  after: z.coerce.number().int().min(0).optional(),
  deleted: QuerySwitch.default(false),
});
export const MessageCount = z.object({ count: z.number().int() });

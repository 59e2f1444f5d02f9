import { z } from "zod";
import { QuerySwitch } from "./lists.ts";
import { Message, MessageError } from "./messages.ts";
import { Timestamp } from "./names.ts";

export const EVENT_TYPES = [
  "session.state",
  "message.created",
  "message.start",
  "message.delta",
  "message.end",
  "tool.start",
  "tool.delta",
  "tool.end",
  "approval.requested",
  "approval.resolved",
  "agent.log",
  "build.state",
  "build.log",
  "error",
] as const;
export type EventType = (typeof EVENT_TYPES)[number];

/** An entry of a session's log. `id` grows by one in a session, from 1. */
export const SessionEvent = z.object({
  id: z.number().int().positive(),
  type: z.enum(EVENT_TYPES),
  created_at: Timestamp,
  data: z.record(z.string(), z.unknown()),
});
export type SessionEvent = z.infer<typeof SessionEvent>;

/** `data` of `message.end`. `message_id` is the message that is answered. */
export const MessageEndData = z.object({
  message_id: z.string(),
  status: z.enum(["done", "failed", "cancelled"]),
  reply: Message.nullable(),
  error: MessageError.optional(),
});
export type MessageEndData = z.infer<typeof MessageEndData>;

export const EventListQuery = z.strictObject({
  after: z.union([z.literal("latest"), z.coerce.number().int().min(0)]).optional(),
  limit: z.coerce.number().int().min(1).max(1000).default(100),
  deleted: QuerySwitch.default(false),
});

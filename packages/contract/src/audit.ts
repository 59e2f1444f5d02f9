import { z } from "zod";
import { ListQuery } from "./lists.ts";
import { Id, Name, Timestamp, UserName } from "./names.ts";

/** `denied`: the caller may not; `failed`: it could not be done. */
export const AUDIT_OUTCOMES = ["allowed", "denied", "failed"] as const;
export type AuditOutcome = (typeof AUDIT_OUTCOMES)[number];

/** One link of the chain: `hash` is over the rest of it and `prev_hash`, the link before. */
export const AuditEvent = z.object({
  id: Id,
  seq: z.number().int().positive(),
  created_at: Timestamp,
  /** Null where nobody is known: before a login, or the system itself. */
  principal: z.string().nullable(),
  action: z.string(),
  resource: z.string(),
  name: z.string().nullable(),
  space: z.string().nullable(),
  outcome: z.enum(AUDIT_OUTCOMES),
  request_id: z.string().nullable(),
  address: z.string().nullable(),
  /** Never holds a value that was sent: names of fields, names of things. */
  details: z.record(z.string(), z.unknown()),
  prev_hash: z.string(),
  hash: z.string(),
});
export type AuditEvent = z.infer<typeof AuditEvent>;

const Moment = z.iso.datetime({ offset: true }).transform((text) => new Date(text).toISOString());

export const AuditEventListQuery = ListQuery.extend({
  space: Name.optional(),
  principal: UserName.optional(),
  action: z.string().min(1).max(64).optional(),
  resource: z.string().min(1).max(64).optional(),
  outcome: z.enum(AUDIT_OUTCOMES).optional(),
  /** From this time on. */
  since: Moment.optional(),
  /** Before this time. */
  until: Moment.optional(),
});

import { z } from "zod";
import { ListQuery } from "./lists.ts";
import { Id, Name, Timestamp, UserName } from "./names.ts";
import { RoleName } from "./roles.ts";

/** A long-lived token: its maker's rights at each moment, cut by its limits. */
export const ApiToken = z.object({
  id: Id,
  name: z.string(),
  user: UserName,
  /** Limits; null limits nothing. */
  space: Name.nullable(),
  role: RoleName.nullable(),
  created_at: Timestamp,
  /** Null: until it is revoked. */
  expires_at: Timestamp.nullable(),
});
export type ApiToken = z.infer<typeof ApiToken>;

/** The only answer that has the token itself. */
export const CreatedApiToken = ApiToken.extend({ token: z.string() });
export type CreatedApiToken = z.infer<typeof CreatedApiToken>;

export const CreateApiToken = z.strictObject({
  name: z.string().min(1).max(128),
  expires_at: z.iso.datetime({ offset: true }).nullable().optional(),
  space: Name.nullable().optional(),
  role: RoleName.nullable().optional(),
});

export const ApiTokenListQuery = ListQuery.extend({ user: UserName.optional() });

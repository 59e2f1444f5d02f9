import { z } from "zod";
import { ListQuery, QuerySwitch } from "./lists.ts";
import { Timestamp, UserName } from "./names.ts";

export const PASSWORD_MAX = 1024;
export const Password = z.string().min(1).max(PASSWORD_MAX);

/** An account that acts. Its password is never part of an answer. */
export const ServiceAccount = z.object({
  user: UserName,
  description: z.string(),
  active: z.boolean(),
  created_at: Timestamp,
  updated_at: Timestamp,
});
export type ServiceAccount = z.infer<typeof ServiceAccount>;

export const CreateServiceAccount = z.strictObject({
  user: UserName,
  pass: Password,
  description: z.string().max(4096).default(""),
  active: z.boolean().default(true),
});

export const UpdateServiceAccount = z.strictObject({
  /** The name itself: accounts can't be renamed. */
  user: UserName.optional(),
  pass: Password.optional(),
  description: z.string().max(4096).optional(),
  active: z.boolean().optional(),
});

export const ChangePassword = z.strictObject({
  /** Asked for when the account is one's own. */
  current_password: z.string().min(1).max(PASSWORD_MAX).optional(),
  new_password: Password,
});

export const ServiceAccountListQuery = ListQuery.extend({ active: QuerySwitch.optional() });

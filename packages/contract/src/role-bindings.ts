import { z } from "zod";
import { ListQuery } from "./lists.ts";
import { Id, Name, Timestamp, UserName } from "./names.ts";
import { RoleName } from "./roles.ts";

const PrincipalType = z.literal("ServiceAccount");

/** Gives a principal a role, in one space or (null) everywhere. */
export const RoleBinding = z.object({
  id: Id,
  role_name: RoleName,
  principal: UserName,
  principal_type: PrincipalType,
  space: Name.nullable(),
  created_at: Timestamp,
});
export type RoleBinding = z.infer<typeof RoleBinding>;

export const CreateRoleBinding = z.strictObject({
  role_name: RoleName,
  principal: UserName,
  principal_type: PrincipalType.default("ServiceAccount"),
  space: Name.nullable().default(null),
});

export const RoleBindingListQuery = ListQuery.extend({
  space: Name.optional(),
  principal: UserName.optional(),
  role_name: RoleName.optional(),
});

import type { Role } from "@raworc/contract";
import { allows, type Principal } from "../../domain/access.ts";
import { listScope } from "../../domain/access-scope.ts";
import { listRoleBindings } from "../../store/role-bindings.ts";
import { findRole } from "../../store/roles.ts";
import type { Reader } from "../../store/store.ts";

/** A role that the caller may know of: a built-in one, his own, one that he may get, and those in bindings he may list. */
export async function findVisibleRole(reader: Reader, principal: Principal, name: string): Promise<Role | undefined> {
  const role = await findRole(reader, name);
  if (role === undefined || role.built_in || principal.bindings.some((binding) => binding.role === name)) return role;
  if (allows(principal, "get", "roles", { space: null, name })) return role;
  const scope = listScope(principal, "list", "role-bindings");
  const shown = await listRoleBindings(reader, { limit: 1, role: name, scope });
  return shown.items.length > 0 ? role : undefined;
}

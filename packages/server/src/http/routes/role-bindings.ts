import { type FieldError, RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import type { Caller } from "../../access/caller.ts";
import { allows, hiddenError, type Principal, seesSpace } from "../../domain/access.ts";
import { coversRules } from "../../domain/access-coverage.ts";
import { listScope } from "../../domain/access-scope.ts";
import { findAccount, type StoredAccount } from "../../store/accounts.ts";
import {
  deleteRoleBinding,
  findRoleBinding,
  insertRoleBinding,
  isBound,
  listRoleBindings,
  presentRoleBinding,
} from "../../store/role-bindings.ts";
import { findSpace } from "../../store/spaces.ts";
import type { Reader } from "../../store/store.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkNext } from "../pages.ts";
import { ANY_SPACE, route } from "../route.ts";
import { requireAnotherAdmin } from "./last-admin.ts";
import { invalidFields, notThere } from "./refusals.ts";
import { findVisibleRole } from "./visible-roles.ts";

export function roleBindingRoutes(app: FastifyInstance, { access, store }: Collaborators): void {
  const locate = async ({ params: { id } }: { params: { id: string } }) => {
    const binding = await findRoleBinding(store.read, id);
    if (binding === undefined) throw hiddenError();
    const { role_name: name, space_id, space_name } = binding;
    const space = space_id === null || space_name === null ? null : { id: space_id, name: space_name };
    return { space, name, binding };
  };

  route(app, "role-bindings.list", { locate: () => ANY_SPACE }, async ({ principal, query, request, reply }) => {
    const { cursor, limit, principal: user, role_name: role, space: spaceName } = query;
    const space = spaceName === undefined ? undefined : await findSpace(store.read, spaceName);
    const account = user === undefined ? undefined : await findAccount(store.read, user);
    const isNothing = (spaceName !== undefined && space === undefined) || (user !== undefined && account === undefined);
    if (isNothing) return [];
    const scope = listScope(principal, "list", "role-bindings");
    const page = await listRoleBindings(store.read, {
      limit,
      cursor,
      role,
      scope,
      spaceId: space?.id,
      accountId: account?.id,
    });
    linkNext(request, reply, page.next);
    return page.items.map(presentRoleBinding);
  });

  const toCreate = async ({ body }: { body: { role_name: string; space: string | null } }, { principal }: Caller) => {
    if (body.space === null) return { space: null, name: body.role_name, isNew: true };
    const space = await findSpace(store.read, body.space);
    if (space === undefined || !seesSpace(principal, space)) {
      throw invalidFields([notThere("body.space", "space", body.space)]);
    }
    return { space, name: body.role_name, isNew: true };
  };
  route(app, "role-bindings.create", { locate: toCreate }, async (call) => {
    const { body, foresee, note, principal } = call;
    const { space } = call.located;
    note.details = { role_name: body.role_name, principal: body.principal, space: body.space };
    const spaceId = space?.id ?? null;
    return access.change(async (transaction) => {
      const role = await findVisibleRole(transaction, principal, body.role_name);
      const account = await findVisibleAccount(transaction, principal, body.principal);
      if (role === undefined || account === undefined) {
        const errors: FieldError[] = [];
        if (role === undefined) errors.push(notThere("body.role_name", "role", body.role_name));
        if (account === undefined) errors.push(notThere("body.principal", "account", body.principal));
        throw invalidFields(errors);
      }
      if (!coversRules(principal, role.rules, spaceId)) {
        const detail = `The role ${role.name} has rights that you lack there; nobody can give what he hasn't got.`;
        throw new RaworcError("forbidden", detail);
      }
      const wanted = { role: role.name, accountId: account.id, spaceId };
      if (await isBound(transaction, wanted)) {
        throw new RaworcError("conflict", `${account.user} has the role ${role.name} there already.`);
      }
      const binding = await findRoleBinding(transaction, await insertRoleBinding(transaction, wanted));
      if (binding === undefined) throw new Error("An inserted binding is there");
      return foresee(presentRoleBinding(binding));
    });
  });

  route(app, "role-bindings.get", { locate }, ({ located }) => presentRoleBinding(located.binding));

  route(app, "role-bindings.delete", { locate }, async ({ ifMatch, located: { binding }, note }) => {
    const { principal, role_name, space } = presentRoleBinding(binding);
    note.details = { role_name, principal, space };
    await access.change(async (transaction) => {
      const current = await findRoleBinding(transaction, binding.id);
      if (current === undefined) throw hiddenError();
      ifMatch(presentRoleBinding(current));
      await requireAnotherAdmin(transaction, { bindingId: binding.id });
      await deleteRoleBinding(transaction, binding.id);
    });
    return undefined;
  });
}

/** An account that the caller may know of: himself, those he may get, and those in bindings that he may list. */
async function findVisibleAccount(
  reader: Reader,
  principal: Principal,
  user: string,
): Promise<StoredAccount | undefined> {
  const account = await findAccount(reader, user);
  if (account === undefined || account.id === principal.id) return account;
  if (allows(principal, "get", "service-accounts", { space: null, name: user })) return account;
  const scope = listScope(principal, "list", "role-bindings");
  const shown = await listRoleBindings(reader, { limit: 1, accountId: account.id, scope });
  return shown.items.length > 0 ? account : undefined;
}

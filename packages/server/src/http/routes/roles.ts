import { RaworcError, type Role, type Rule } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { hiddenError, type Principal } from "../../domain/access.ts";
import { coversRules } from "../../domain/access-coverage.ts";
import { listScope } from "../../domain/access-scope.ts";
import { countBindingsOfRole } from "../../store/role-bindings.ts";
import { deleteRole, findRole, insertRole, listRoles, updateRole } from "../../store/roles.ts";
import type { Transaction } from "../../store/store.ts";
import { countTokensOfRole } from "../../store/tokens.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkNext } from "../pages.ts";
import { OUTSIDE_SPACES, route } from "../route.ts";
import { requireSameName } from "./refusals.ts";

export function roleRoutes(app: FastifyInstance, { access, store }: Collaborators): void {
  const locate = async ({ params: { name } }: { params: { name: string } }) => {
    const role = await findRole(store.read, name);
    if (role === undefined) throw hiddenError();
    return { space: null, name, role };
  };

  route(app, "roles.list", { locate: () => OUTSIDE_SPACES }, async ({ principal, query, request, reply }) => {
    const page = await listRoles(store.read, { ...query, scope: listScope(principal, "list", "roles") });
    linkNext(request, reply, page.next);
    return page.items;
  });

  route(
    app,
    "roles.create",
    { locate: ({ body }) => ({ space: null, name: body.name, isNew: true }) },
    ({ body, foresee, principal }) =>
      access.change(async (transaction) => {
        requireCover(principal, body.rules);
        if ((await findRole(transaction, body.name)) !== undefined) {
          throw new RaworcError("name_taken", `There is a role named ${body.name} already; choose another name.`);
        }
        return foresee(await insertRole(transaction, body));
      }),
  );

  route(app, "roles.get", { locate }, ({ located }) => located.role);

  route(app, "roles.update", { locate }, ({ body, ifMatch, located, principal }) =>
    access.change(async (transaction) => {
      requireSameName("body.name", body.name, located.name);
      ifMatch(await changeable(transaction, located.name));
      if (body.rules !== undefined) requireCover(principal, body.rules);
      return updateRole(transaction, located.name, body);
    }),
  );

  route(app, "roles.delete", { locate }, async ({ ifMatch, located: { name } }) => {
    await access.change(async (transaction) => {
      ifMatch(await changeable(transaction, name));
      const bindings = await countBindingsOfRole(transaction, name);
      const tokens = await countTokensOfRole(transaction, name);
      if (bindings + tokens > 0) {
        const detail = `The role has ${bindings} bindings and limits ${tokens} API tokens; remove them first.`;
        throw new RaworcError("in_use", detail);
      }
      await deleteRole(transaction, name);
    });
    return undefined;
  });
}

async function changeable(transaction: Transaction, name: string): Promise<Role> {
  const role = await findRole(transaction, name);
  if (role === undefined) throw hiddenError();
  if (!role.built_in) return role;
  throw new RaworcError("built_in_role", `The role ${name} is built in; make a role of your own instead.`);
}

/** Roles can be bound anywhere: their writer must have their rights everywhere. */
function requireCover(principal: Principal, rules: readonly Rule[]): void {
  if (coversRules(principal, rules, null)) return;
  throw new RaworcError("forbidden", "You can't write a role with rights that you don't have everywhere yourself.");
}

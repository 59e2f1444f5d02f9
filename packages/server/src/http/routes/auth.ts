import type { FastifyInstance } from "fastify";
import { permissionsOf } from "../../domain/access-scope.ts";
import { revokeToken } from "../../store/revoked-tokens.ts";
import { listSpaceNames } from "../../store/spaces.ts";
import type { Collaborators } from "../collaborators.ts";
import { openRoute } from "../route.ts";

export function authRoutes(app: FastifyInstance, { login, store }: Collaborators): void {
  openRoute(app, "auth.login", ({ body, request }) => login(body.user, body.pass, request.ip));

  openRoute(app, "auth.logout", async ({ token }) => {
    await store.write((transaction) => revokeToken(transaction, token.id, token.expiresAt));
    return undefined;
  });

  openRoute(app, "auth.me", async ({ principal }) => {
    const ids = principal.bindings.flatMap(({ spaceId }) => (spaceId === null ? [] : [spaceId]));
    const names = await listSpaceNames(store.read, ids);
    return {
      user: principal.name,
      type: "ServiceAccount" as const,
      space: null,
      roles: [...new Set(principal.bindings.map(({ role }) => role))],
      permissions: permissionsOf(principal, names),
    };
  });
}

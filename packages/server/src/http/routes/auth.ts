import type { FastifyInstance } from "fastify";
import { permissionsOf } from "../../domain/access-scope.ts";
import { revokeToken } from "../../store/revoked-tokens.ts";
import { listSpaceNames } from "../../store/spaces.ts";
import { deleteApiToken } from "../../store/tokens.ts";
import type { Collaborators } from "../collaborators.ts";
import { openRoute } from "../route.ts";

export function authRoutes(app: FastifyInstance, { access, login, store }: Collaborators): void {
  openRoute(app, "auth.login", ({ body, request }) =>
    login(body.user, body.pass, { address: request.ip, requestId: request.id }),
  );

  openRoute(app, "auth.logout", async ({ token }) => {
    await access.change(async (transaction) => {
      if (token.kind === "api") await deleteApiToken(transaction, token.id);
      else await revokeToken(transaction, token.id, token.expiresAt ?? "");
    });
    return undefined;
  });

  openRoute(app, "auth.me", async ({ principal, token }) => {
    const ids = [token.spaceId ?? null, ...principal.bindings.map(({ spaceId }) => spaceId)].filter(
      (id) => id !== null,
    );
    const names = await listSpaceNames(store.read, ids);
    return {
      user: principal.name,
      type: "ServiceAccount" as const,
      // The one space that the token is limited to.
      space: token.spaceId === undefined ? null : (names.get(token.spaceId) ?? null),
      roles: [...new Set(principal.bindings.map(({ role }) => role))],
      permissions: permissionsOf(principal, names),
    };
  });
}

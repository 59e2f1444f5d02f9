import type { FastifyInstance } from "fastify";
import { listScope } from "../../domain/access-scope.ts";
import { listAuditEvents, presentAuditEvent } from "../../store/audit.ts";
import { findSpace } from "../../store/spaces.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkNext } from "../pages.ts";
import { ANY_SPACE, route } from "../route.ts";

export function auditRoutes(app: FastifyInstance, { audit, store }: Collaborators): void {
  route(app, "audit-events.list", { locate: () => ANY_SPACE }, async ({ principal, query, request, reply }) => {
    // Refusals are written while nobody waits for them; who asks for them does.
    await audit.settled();
    const { space: name, ...filters } = query;
    // A space that is gone is known by its last name.
    const found = name === undefined ? undefined : await findSpace(store.read, name);
    const space = name === undefined ? undefined : found === undefined ? { name } : { id: found.id };
    const scope = listScope(principal, "list", "audit-events");
    const page = await listAuditEvents(store.read, { ...filters, space, scope });
    linkNext(request, reply, page.next);
    return page.items.map(presentAuditEvent);
  });
}

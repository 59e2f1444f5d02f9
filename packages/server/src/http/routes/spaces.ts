import { DEFAULT_SPACE, RaworcError, type Space } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { hiddenError } from "../../domain/access.ts";
import { visibleSpaces } from "../../domain/access-scope.ts";
import { deleteSession } from "../../operator/session-requests.ts";
import { lockRow } from "../../store/locks.ts";
import { findSession, listLiveSessionIdsOfSpace } from "../../store/sessions.ts";
import {
  deleteSpace,
  findSpace,
  findSpaceById,
  insertSpace,
  listSpaces,
  type StoredSpace,
  updateSpace,
} from "../../store/spaces.ts";
import type { Transaction } from "../../store/store.ts";
import type { Collaborators } from "../collaborators.ts";
import { linkNext } from "../pages.ts";
import { ANY_SPACE, route } from "../route.ts";
import { locateSpace } from "./locations.ts";

/** How long a deletion of a space waits for the computers of its sessions. */
const REMOVAL_WAIT_MS = 30_000;

function present({ id: _, ...space }: StoredSpace): Space {
  return space;
}

function nameTaken(name: string): RaworcError {
  return new RaworcError("name_taken", `There is a space named ${name} already; choose another name.`);
}

/** The space as it is, and stays until the commit. */
async function currently(transaction: Transaction, id: string): Promise<StoredSpace> {
  await lockRow(transaction, "spaces", id);
  const space = await findSpaceById(transaction, id);
  if (space === undefined) throw hiddenError();
  return space;
}

export function spaceRoutes(
  app: FastifyInstance,
  { access, builds, pool, sessionLog, sessions, messages, store, wakeups }: Collaborators,
): void {
  const bySpace = ({ params }: { params: { space: string } }) => locateSpace(store.read, params.space);

  route(app, "spaces.list", { locate: () => ANY_SPACE }, async ({ principal, query, request, reply }) => {
    const page = await listSpaces(store.read, { ...query, scope: visibleSpaces(principal) });
    linkNext(request, reply, page.next);
    return page.items.map(present);
  });

  route(
    app,
    "spaces.create",
    { locate: ({ body }) => ({ space: null, name: body.name, isNew: true }) },
    async ({ body, foresee, principal }) => {
      const { id, space } = await store.write(async (transaction) => {
        if ((await findSpace(transaction, body.name)) !== undefined) throw nameTaken(body.name);
        const created = await insertSpace(transaction, { ...body, createdBy: principal.name });
        return { id: created.id, space: foresee(present(created)) };
      });
      wakeups.emit("space", id, undefined);
      return space;
    },
  );

  route(app, "spaces.get", { locate: bySpace }, ({ located }) => present(located.space));

  route(app, "spaces.update", { locate: bySpace }, async ({ body, ifMatch, located: { space }, note }) => {
    const root = body.settings?.root ?? false;
    if (body.settings !== undefined && root !== (space.settings.root ?? false)) note.details["root"] = root;
    if (body.name !== undefined && body.name !== space.name) note.details["renamed_to"] = body.name;
    const changed = await store.write(async (transaction) => {
      ifMatch(present(await currently(transaction, space.id)));
      if (body.name !== undefined && body.name !== space.name) {
        if (space.name === DEFAULT_SPACE) throw new RaworcError("conflict", "The space default can't be renamed.");
        if ((await findSpace(transaction, body.name)) !== undefined) throw nameTaken(body.name);
      }
      return updateSpace(transaction, space.id, body);
    });
    if (body.settings !== undefined || body.active !== undefined) wakeups.emit("space", space.id, undefined);
    return present(changed);
  });

  route(app, "spaces.delete", { locate: bySpace }, async ({ ifMatch, located: { space }, query, signal }) => {
    if (space.name === DEFAULT_SPACE) throw new RaworcError("conflict", "The space default can't be deleted.");
    const ids = await listLiveSessionIdsOfSpace(store.read, space.id);
    if (ids.length > 0 && !query.force) {
      const detail = `The space has ${ids.length} live sessions; delete them first, or use ?force=true.`;
      throw new RaworcError("in_use", detail);
    }
    // Nobody fills its pool from here on.
    await store.write(async (transaction) => {
      ifMatch(present(await currently(transaction, space.id)));
      await updateSpace(transaction, space.id, { active: false });
    });
    for (const id of ids) {
      await sessionLog.write(async (transaction, append) => {
        const session = await findSession(transaction, id);
        if (session !== undefined) await deleteSession(transaction, append, session, "The space was deleted");
      });
      messages.interrupt(id);
      sessions.interrupt(id);
    }
    const limit = AbortSignal.timeout(REMOVAL_WAIT_MS);
    await Promise.all(ids.map((id) => sessions.ended(id, limit)));
    await pool.drain(space.id, AbortSignal.any([signal, AbortSignal.timeout(REMOVAL_WAIT_MS)]));
    // Bindings to the space and tokens limited to it go with it.
    await access.change(async (transaction) => {
      // Of several who delete it at once, one has deleted it.
      await currently(transaction, space.id);
      await deleteSpace(transaction, space.id);
    });
    // A build that runs ends, and what was built goes.
    builds.interrupt(space.id);
    return undefined;
  });
}

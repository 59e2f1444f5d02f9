import { isRaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { sessionScope } from "../../domain/access-scope.ts";
import { waitForState } from "../../operator/message-waits.ts";
import { forkSession } from "../../operator/session-forks.ts";
import {
  cancelRunning,
  changeLimits,
  deleteSession,
  draftSession,
  pauseSession,
  resumeSession,
} from "../../operator/session-requests.ts";
import { lockRow } from "../../store/locks.ts";
import {
  findSession,
  getSession,
  listSessions,
  presentSession,
  type StoredSession,
  updateSession,
} from "../../store/sessions.ts";
import { findSpace } from "../../store/spaces.ts";
import type { Collaborators } from "../collaborators.ts";
import { etagOf } from "../etag.ts";
import { linkNext } from "../pages.ts";
import { ANY_SPACE, route } from "../route.ts";
import { locateInSpace, locateSession } from "./locations.ts";

/** A creation that waits for readiness answers after this long with the session as it then is. */
const READY_WAIT_MS = 120_000;

/** What If-Match is about: what a caller can change, not what goes on in the session. */
function changeable({ id, name, metadata, limits }: StoredSession): object {
  return { id, name, metadata, limits };
}

export function sessionRoutes(
  app: FastifyInstance,
  { messages, opener, sessionLog, sessions, store }: Collaborators,
): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });
  const recorded = ({ params, query }: { params: { id: string }; query: { deleted: boolean } }) =>
    locateSession(store.read, params.id, query);

  route(app, "sessions.list", { locate: () => ANY_SPACE }, async ({ principal, query, request, reply }) => {
    const { space: name, created_by: createdBy, ...rest } = query;
    const space = name === undefined ? undefined : await findSpace(store.read, name);
    if (name !== undefined && space === undefined) return [];
    const scope = sessionScope(principal);
    const page = await listSessions(store.read, { ...rest, createdBy, scope, spaceId: space?.id });
    linkNext(request, reply, page.next);
    return page.items.map(presentSession);
  });

  const toCreate = ({ body }: { body: { space: string } }) => locateInSpace(store.read, body.space);
  route(app, "sessions.create", { locate: toCreate }, async ({ body, principal, located: { space }, signal }) => {
    const session = await opener.open(await draftSession(store.read, space, body), principal, signal);
    if (body.wait !== "ready" || session.state !== "init") return presentSession(session);
    const wait = AbortSignal.any([signal, AbortSignal.timeout(READY_WAIT_MS)]);
    await waitForState(store, sessionLog, session.id, (state) => state !== "init", wait);
    return presentSession(await getSession(store.read, session.id));
  });

  route(app, "sessions.get", { locate: recorded }, ({ located: { session }, reply }) => {
    reply.header("etag", etagOf(changeable(session)));
    return presentSession(session);
  });

  route(app, "sessions.update", { locate: live }, async ({ body, ifMatch, located: { session }, reply }) => {
    const { limits, name, metadata } = body;
    await store.write(async (transaction) => {
      await lockRow(transaction, "sessions", session.id);
      const current = await getSession(transaction, session.id);
      ifMatch(changeable(current));
      if (limits !== undefined) await changeLimits(transaction, current, limits);
      await updateSession(transaction, session.id, {
        ...(name === undefined ? {} : { name }),
        ...(metadata === undefined ? {} : { metadata }),
      });
    });
    if (limits !== undefined) await sessions.applyLimits(session.id);
    const changed = await getSession(store.read, session.id);
    reply.header("etag", etagOf(changeable(changed)));
    return presentSession(changed);
  });

  route(app, "sessions.delete", { locate: live }, async ({ ifMatch, located, principal }) => {
    await sessionLog.write(async (transaction, append) => {
      await lockRow(transaction, "sessions", located.session.id);
      const session = await findSession(transaction, located.session.id);
      if (session === undefined || session.state === "deleted") return;
      ifMatch(changeable(session));
      await deleteSession(transaction, append, session, `Deleted by ${principal.name}`);
    });
    messages.interrupt(located.session.id);
    sessions.interrupt(located.session.id);
    return undefined;
  });

  route(app, "sessions.pause", { locate: live }, async ({ located, signal }) => {
    const { id } = located.session;
    await sessionLog.write(async (transaction, append) =>
      pauseSession(transaction, append, await getSession(transaction, id)),
    );
    const session = await getSession(store.read, id);
    if (session.pause_requested_at !== null) {
      messages.pause(id, session.pause_requested_at);
      await waitForState(store, sessionLog, id, (state) => state !== "busy", signal);
    }
    if ((await getSession(store.read, id)).state === "paused") await sessions.ended(id, signal);
    return presentSession(await getSession(store.read, id));
  });

  route(app, "sessions.resume", { locate: live }, async ({ located: { session }, signal }) => {
    await sessionLog.write(async (transaction, append) =>
      resumeSession(transaction, append, await getSession(transaction, session.id)),
    );
    messages.wake(session.id);
    const wait = AbortSignal.any([signal, AbortSignal.timeout(READY_WAIT_MS)]);
    // What keeps it from getting ready is in the session that is answered with.
    await sessions.acquire(session.id, wait).then(
      (lease) => lease.release(),
      () => undefined,
    );
    return presentSession(await getSession(store.read, session.id));
  });

  route(app, "sessions.fork", { locate: live }, async ({ body, located, principal, signal }) => {
    const fork = await sessionLog.write(async (transaction, append) =>
      forkSession(transaction, append, await getSession(transaction, located.session.id), principal, body),
    );
    sessions.wake(fork.id);
    const wait = AbortSignal.any([signal, AbortSignal.timeout(READY_WAIT_MS)]);
    await waitForState(store, sessionLog, fork.id, (state) => state !== "init", wait);
    return presentSession(await getSession(store.read, fork.id));
  });

  route(app, "sessions.cancel", { locate: live }, async ({ request, located: { session }, signal }) => {
    const messageId = await store.write(async (transaction) =>
      cancelRunning(transaction, await getSession(transaction, session.id)),
    );
    try {
      await messages.cancel(session.id, messageId, signal);
    } catch (error) {
      // The wish is recorded: it is passed on with the next delivery.
      if (!isRaworcError(error, "computer_unreachable")) request.log.info({ err: error }, "cancel not yet passed on");
    }
    return presentSession(await getSession(store.read, session.id));
  });
}

import { isRaworcError, Session } from "@raworc/contract";
import type { FastifyInstance, FastifyReply, FastifyRequest } from "fastify";
import { hiddenError } from "../../domain/access.ts";
import { sessionScope } from "../../domain/access-scope.ts";
import { waitForState } from "../../operator/message-waits.ts";
import { forkSession } from "../../operator/session-forks.ts";
import type { Append } from "../../operator/session-log.ts";
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
import type { Transaction } from "../../store/store.ts";
import { UnchangedReads } from "../../store/unchanged-reads.ts";
import { type Call, WrittenAnswer } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { etagOf } from "../etag.ts";
import { linkNext } from "../pages.ts";
import { preferredWaitMs } from "../prefer.ts";
import { causeOf } from "../request-observation.ts";
import { ANY_SPACE, route } from "../route.ts";
import { locateInSpace, locateSession, locationOf, type SessionLocation } from "./locations.ts";

/** A creation that waits for readiness answers after this long with the session as it then is. */
const READY_WAIT_MS = 120_000;

interface SessionCall {
  readonly located: SessionLocation;
  readonly signal: AbortSignal;
}

/** How long a creation waits for readiness; undefined when it doesn't. */
function waitMs(wait: "ready" | undefined, request: FastifyRequest, reply: FastifyReply): number | undefined {
  const preferred = preferredWaitMs(request, reply, READY_WAIT_MS);
  return preferred ?? (wait === "ready" ? READY_WAIT_MS : undefined);
}

/** What If-Match is about: what a caller can change, not what goes on in the session. */
function changeable({ id, name, metadata, limits }: StoredSession): object {
  return { id, name, metadata, limits };
}

/** What is asked for again and again: whoever waits for a session looks at it. */
interface ShownSession extends SessionLocation {
  readonly answer: WrittenAnswer<Session>;
  readonly etag: string;
}

/** The record and the text that was made of it. */
const sizeOfShown = ({ answer }: ShownSession): number => 2048 + 4 * answer.text.length;

function show(session: StoredSession | undefined): ShownSession | undefined {
  if (session === undefined) return undefined;
  const answer = new WrittenAnswer(presentSession(session));
  return { ...locationOf(session), answer, etag: etagOf(changeable(session)) };
}

export function sessionRoutes(
  app: FastifyInstance,
  { databaseVersion, messages, opener, operations, sessionLog, sessions, store }: Collaborators,
): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });

  route(app, "sessions.list", { locate: () => ANY_SPACE }, async ({ principal, query, request, reply }) => {
    const { space: name, created_by: createdBy, label: labels, ...rest } = query;
    const space = name === undefined ? undefined : await findSpace(store.read, name);
    if (name !== undefined && space === undefined) return [];
    const scope = sessionScope(principal);
    const page = await listSessions(store.read, { ...rest, createdBy, labels, scope, spaceId: space?.id });
    linkNext(request, reply, page.next);
    return page.items.map(presentSession);
  });

  /** The session when it is no longer `init`, or as it is when the time is up. */
  const whenReady = async (id: string, signal: AbortSignal, milliseconds = READY_WAIT_MS) => {
    const wait = AbortSignal.any([signal, AbortSignal.timeout(milliseconds)]);
    await waitForState(store, sessionLog, id, (state) => state !== "init", wait);
    return presentSession(await getSession(store.read, id));
  };

  const toCreate = ({ body }: { body: { space: string } }) => locateInSpace(store.read, body.space);
  const goOnCreating = ({ body, reply, request, signal }: Call<"sessions.create">, foreseen: unknown) => {
    const wait = waitMs(body.wait, request, reply);
    const session = Session.parse(foreseen);
    return wait === undefined ? session : whenReady(session.id, signal, wait);
  };
  route(app, "sessions.create", { locate: toCreate, goOn: goOnCreating }, async (call) => {
    const { body, foresee, principal, reply, request, signal } = call;
    const wait = waitMs(body.wait, request, reply);
    const draft = await draftSession(store.read, call.located.space, body);
    const session = await opener.open(draft, principal, signal, (recorded) => {
      operations.caused(recorded.id, causeOf(request));
      foresee(presentSession(recorded), wait === undefined || recorded.state !== "init");
    });
    if (wait === undefined || session.state !== "init") return presentSession(session);
    return whenReady(session.id, signal, wait);
  });

  const shown = new UnchangedReads<ShownSession>(databaseVersion, sizeOfShown);
  const readShown = (id: string): ShownSession | undefined | Promise<ShownSession | undefined> => {
    const session = findSession(store.read, id);
    return session instanceof Promise ? session.then(show) : show(session);
  };
  const locateShown = ({ params, query }: { params: { id: string }; query: { deleted: boolean } }) => {
    const visible = (found: ShownSession | undefined) =>
      found?.session.state === "deleted" && !query.deleted ? undefined : found;
    const found = shown.get(params.id, () => readShown(params.id));
    return found instanceof Promise ? found.then(visible) : visible(found);
  };
  route(app, "sessions.get", { locate: locateShown }, ({ located: { answer, etag }, reply }) => {
    reply.header("etag", etag);
    return answer;
  });

  route(app, "sessions.update", { locate: live }, async ({ body, ifMatch, located: { session }, reply, signal }) => {
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
    if (limits !== undefined) await sessions.applyLimits(session.id, signal);
    const changed = await getSession(store.read, session.id);
    reply.header("etag", etagOf(changeable(changed)));
    return presentSession(changed);
  });

  route(app, "sessions.delete", { locate: live }, async ({ ifMatch, located, principal, request }) => {
    await sessionLog.write(async (transaction, append) => {
      await lockRow(transaction, "sessions", located.session.id);
      const session = await findSession(transaction, located.session.id);
      // Of several who delete it at once, one has deleted it.
      if (session === undefined || session.state === "deleted") throw hiddenError();
      ifMatch(changeable(session));
      await deleteSession(transaction, append, session, `Deleted by ${principal.name}`);
    });
    operations.caused(located.session.id, causeOf(request));
    messages.interrupt(located.session.id);
    sessions.interrupt(located.session.id);
    return undefined;
  });

  /** Records what a call wants of a session, with the session as it then is as what may be answered. */
  const record = (
    { foresee, request }: Pick<Call<"sessions.pause">, "foresee" | "request">,
    id: string,
    change: (transaction: Transaction, append: Append, session: StoredSession) => Promise<void>,
  ) =>
    sessionLog.write(async (transaction, append) => {
      operations.caused(id, causeOf(request));
      await change(transaction, append, await getSession(transaction, id));
      foresee(presentSession(await getSession(transaction, id)), false);
    });

  const whenPaused = async ({ located, signal }: SessionCall) => {
    const { id } = located.session;
    const session = await getSession(store.read, id);
    if (session.pause_requested_at !== null) {
      messages.pause(id, session.pause_requested_at);
      await waitForState(store, sessionLog, id, (state) => state !== "busy", signal);
    }
    if ((await getSession(store.read, id)).state === "paused") await sessions.ended(id, signal);
    return presentSession(await getSession(store.read, id));
  };
  route(app, "sessions.pause", { locate: live, goOn: whenPaused }, async (call) => {
    await record(call, call.located.session.id, pauseSession);
    return whenPaused(call);
  });

  const whenResumed = async ({ located: { session }, signal }: SessionCall) => {
    messages.wake(session.id);
    const wait = AbortSignal.any([signal, AbortSignal.timeout(READY_WAIT_MS)]);
    // What keeps it from getting ready is in the session that is answered with.
    await sessions.acquire(session.id, wait).then(
      (lease) => lease.release(),
      () => undefined,
    );
    return presentSession(await getSession(store.read, session.id));
  };
  route(app, "sessions.resume", { locate: live, goOn: whenResumed }, async (call) => {
    await record(call, call.located.session.id, resumeSession);
    return whenResumed(call);
  });

  const goOnForking = ({ signal }: Pick<SessionCall, "signal">, foreseen: unknown) =>
    whenReady(Session.parse(foreseen).id, signal);
  route(app, "sessions.fork", { locate: live, goOn: goOnForking }, async (call) => {
    const { body, foresee, located, principal, signal } = call;
    const fork = await sessionLog.write(async (transaction, append) => {
      const parent = await getSession(transaction, located.session.id);
      return foresee(presentSession(await forkSession(transaction, append, parent, principal, body)), false);
    });
    operations.caused(fork.id, causeOf(call.request));
    sessions.wake(fork.id);
    return whenReady(fork.id, signal);
  });

  route(app, "sessions.cancel", { locate: live }, async ({ foresee, request, located: { session }, signal }) => {
    const messageId = await store.write(async (transaction) => {
      const current = await getSession(transaction, session.id);
      foresee(presentSession(current), false);
      return cancelRunning(transaction, current);
    });
    try {
      await messages.cancel(session.id, messageId, signal);
    } catch (error) {
      // The wish is recorded: it is passed on with the next delivery.
      if (!isRaworcError(error, "computer_unreachable")) request.log.info({ err: error }, "cancel not yet passed on");
    }
    return presentSession(await getSession(store.read, session.id));
  });
}

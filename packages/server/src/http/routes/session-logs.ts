import type { HostLogLine } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import type { Sessions } from "../../operator/sessions.ts";
import { type LogRequest, readHostLogs } from "../../runtime/host-logs.ts";
import type { Collaborators } from "../collaborators.ts";
import { acceptsEventStream, sendEvents } from "../event-stream.ts";
import { mapAsync } from "../map-async.ts";
import { route } from "../route.ts";
import { sendText } from "../stream.ts";
import { locateSession } from "./locations.ts";

export function sessionLogRoutes(app: FastifyInstance, { sessions, store }: Collaborators): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });

  route(app, "sessions.logs", { locate: live }, async ({ located, query, reply, request, signal }) => {
    const lines = await openLogs(sessions, located.session.id, query, signal);
    if (acceptsEventStream(request)) {
      const toEvent = ({ line, source }: HostLogLine) => ({ type: "agent.log", data: { source, line } });
      return sendEvents(app, reply, mapAsync(lines, toEvent));
    }
    return sendText(
      app,
      reply,
      mapAsync(lines, ({ line, source }) => `[${source}] ${line}\n`),
    );
  });
}

/**
 * The lines of a session's logs. Its computer has to be awake to tell them, so it is woken where it rests; once it has begun
 * to answer, following is no use of it any more. Rejects where the session is paused or in error.
 */
export async function openLogs(
  sessions: Sessions,
  id: string,
  request: LogRequest,
  signal: AbortSignal,
): Promise<AsyncGenerator<HostLogLine>> {
  const lease = await sessions.acquire(id, signal);
  const onOpen = (): void => {
    if (request.follow) lease.release();
  };
  const lines = readHostLogs(lease.connection, request, { onOpen, signal });
  return (async function* () {
    try {
      yield* lines;
    } finally {
      lease.release();
    }
  })();
}

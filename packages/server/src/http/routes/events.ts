import type { FastifyInstance } from "fastify";
import { listEvents } from "../../store/events.ts";
import type { Collaborators } from "../collaborators.ts";
import { acceptsEventStream, lastEventId, sendEvents } from "../event-stream.ts";
import { linkTo } from "../pages.ts";
import { route } from "../route.ts";
import { locateSession } from "./locations.ts";

export function eventRoutes(app: FastifyInstance, { sessionLog, store }: Collaborators): void {
  const recorded = ({ params, query }: { params: { id: string }; query: { deleted: boolean } }) =>
    locateSession(store.read, params.id, query);

  route(app, "events.list", { locate: recorded }, async ({ query, request, reply, signal, located: { session } }) => {
    const from = query.after === "latest" ? session.last_event_id : query.after;
    if (!acceptsEventStream(request)) {
      const page = await listEvents(store.read, session.id, from ?? 0, query.limit);
      if (page.length === query.limit) linkTo(request, reply, "next", { after: page.at(-1)?.id });
      return page;
    }
    const after = lastEventId(request) ?? from ?? 0;
    return sendEvents(app, reply, sessionLog.follow(session.id, after, signal), after);
  });
}

import type { FastifyInstance } from "fastify";
import { TrafficUse } from "../../operator/traffic-use.ts";
import { SENT } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { route } from "../route.ts";
import { relayTerminal } from "../terminal-relay.ts";
import { requireWebSocket } from "../upgrades.ts";
import { locateSession } from "./locations.ts";

export function terminalRoutes(app: FastifyInstance, { sessions, store }: Collaborators): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });

  route(
    app,
    "sessions.terminal",
    { locate: live },
    async ({ audited, located, note, query, reply, request, signal }) => {
      const { id } = located.session;
      const lease = await sessions.acquire(id, signal);
      const use = new TrafficUse(sessions, { id, lease, signal });
      try {
        const upgrade = requireWebSocket(request);
        note.details = { terminal: query.id };
        await audited();
        const size = new URLSearchParams({ cols: String(query.cols ?? ""), rows: String(query.rows ?? "") });
        const host = await lease.connection.upgrade("terminals", `${query.id}?${size}`, signal);
        reply.hijack();
        reply.raw.statusCode = 101;
        relayTerminal(request, upgrade, { host, use, heartbeat: app.api.heartbeat, signal });
        return SENT;
      } catch (error) {
        use.end();
        throw error;
      }
    },
  );
}

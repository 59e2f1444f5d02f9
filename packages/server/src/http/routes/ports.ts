import { API_BASE } from "@raworc/contract";
import type { FastifyInstance, FastifyRequest } from "fastify";
import { TrafficUse } from "../../operator/traffic-use.ts";
import { acceptBytes } from "../bytes-body.ts";
import type { Collaborators } from "../collaborators.ts";
import { relayRequest, relayWebSocket } from "../port-relay.ts";
import { route } from "../route.ts";
import { requireWebSocket, upgradeOf } from "../upgrades.ts";
import { locateSession } from "./locations.ts";

const METHODS = ["ports.get", "ports.post", "ports.put", "ports.delete"] as const;

export function portRoutes(app: FastifyInstance, { sessions, store }: Collaborators): void {
  const live = ({ params }: { params: { id: string } }) => locateSession(store.read, params.id, { deleted: false });

  app.register((scope, _options, done) => {
    acceptBytes(scope);
    for (const name of METHODS) {
      route(scope, name, { locate: live }, async ({ located, params, reply, request, signal }) => {
        const upgrade = upgradeOf(request) && requireWebSocket(request);
        const { id } = located.session;
        const { port } = params;
        const lease = await sessions.acquire(id, signal);
        try {
          const socket = await lease.connection.upgrade("ports", String(port), signal);
          socket.once("close", () => lease.release());
          const onAnswer = (): TrafficUse => {
            const use = new TrafficUse(sessions, { id, lease, signal });
            socket.on("data", () => use.received());
            socket.once("close", () => use.end());
            return use;
          };
          const prefix = `${API_BASE}/sessions/${id}/ports/${port}`;
          const relay = { port, prefix, socket, path: pathBehind(request), onAnswer };
          try {
            if (upgrade === undefined) return await relayRequest(request, reply, relay);
            return await relayWebSocket(request, reply, upgrade, relay);
          } catch (error) {
            socket.destroy();
            throw error;
          }
        } catch (error) {
          lease.release();
          throw error;
        }
      });
    }
    done();
  });
}

/** What follows the port in a request's path, with the query, as it was sent. */
function pathBehind(request: FastifyRequest): string {
  const [, rest = ""] = /^\/api\/v0\/sessions\/[^/?]+\/ports\/[^/?]+(.*)$/s.exec(request.raw.url ?? "") ?? [];
  return rest.startsWith("/") ? rest : `/${rest}`;
}

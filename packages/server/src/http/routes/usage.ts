import { HostUsage } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { countUsage } from "../../store/messages.ts";
import type { Collaborators } from "../collaborators.ts";
import { route } from "../route.ts";
import { locateSession } from "./locations.ts";

export function usageRoutes(app: FastifyInstance, { runtime, sessions, store }: Collaborators): void {
  const recorded = ({ params, query }: { params: { id: string }; query: { deleted: boolean } }) =>
    locateSession(store.read, params.id, query);

  route(app, "sessions.usage", { locate: recorded }, async ({ located: { session }, signal }) => {
    const isThere = session.state !== "deleted" && session.attempted;
    const [messages, { cpuSeconds, memoryBytes }] = await Promise.all([
      countUsage(store.read, session.id),
      isThere ? runtime.usage(session.id) : { cpuSeconds: 0, memoryBytes: 0 },
    ]);
    return {
      cpu_seconds: cpuSeconds,
      memory_bytes: memoryBytes,
      disk_bytes: await countDisk(session.id, signal),
      ...messages,
    };
  });

  /** Asking is no use: a computer that rests is not woken for it. */
  async function countDisk(id: string, signal: AbortSignal): Promise<number | null> {
    const lease = sessions.acquireNow(id);
    if (lease === undefined) return null;
    try {
      const path = `/usage?sized=${runtime.capabilities.limits.disk_mb}`;
      return (await lease.connection.json({ method: "GET", path, signal }, HostUsage)).disk_bytes;
    } finally {
      lease.release();
    }
  }
}

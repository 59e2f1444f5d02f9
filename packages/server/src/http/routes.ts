import type { FastifyInstance } from "fastify";
import type { Collaborators } from "./collaborators.ts";
import { agentRoutes } from "./routes/agents.ts";
import { authRoutes } from "./routes/auth.ts";
import { buildRoutes } from "./routes/builds.ts";
import { eventRoutes } from "./routes/events.ts";
import { execRoutes } from "./routes/exec.ts";
import { messageRoutes } from "./routes/messages.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { spaceRoutes } from "./routes/spaces.ts";
import { systemRoutes } from "./routes/system.ts";

/** Registers every call of the contract. */
export function registerRoutes(app: FastifyInstance, collaborators: Collaborators): void {
  systemRoutes(app, collaborators);
  authRoutes(app, collaborators);
  spaceRoutes(app, collaborators);
  agentRoutes(app, collaborators);
  buildRoutes(app, collaborators);
  sessionRoutes(app, collaborators);
  eventRoutes(app, collaborators);
  messageRoutes(app, collaborators);
  execRoutes(app, collaborators);
}

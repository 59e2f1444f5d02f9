import type { FastifyInstance } from "fastify";
import type { Collaborators } from "./collaborators.ts";
import { docsPages } from "./docs-pages.ts";
import { metricsPage } from "./metrics-page.ts";
import { accountRoutes } from "./routes/accounts.ts";
import { agentRoutes } from "./routes/agents.ts";
import { auditRoutes } from "./routes/audit.ts";
import { authRoutes } from "./routes/auth.ts";
import { buildRoutes } from "./routes/builds.ts";
import { eventRoutes } from "./routes/events.ts";
import { execRoutes } from "./routes/exec.ts";
import { fileRoutes } from "./routes/files.ts";
import { messageRoutes } from "./routes/messages.ts";
import { portRoutes } from "./routes/ports.ts";
import { roleBindingRoutes } from "./routes/role-bindings.ts";
import { roleRoutes } from "./routes/roles.ts";
import { secretRoutes } from "./routes/secrets.ts";
import { sessionRoutes } from "./routes/sessions.ts";
import { spaceRoutes } from "./routes/spaces.ts";
import { systemRoutes } from "./routes/system.ts";
import { terminalRoutes } from "./routes/terminals.ts";
import { tokenRoutes } from "./routes/tokens.ts";

/** Registers every call of the contract. */
export function registerRoutes(app: FastifyInstance, collaborators: Collaborators): void {
  systemRoutes(app, collaborators);
  authRoutes(app, collaborators);
  tokenRoutes(app, collaborators);
  accountRoutes(app, collaborators);
  roleRoutes(app, collaborators);
  roleBindingRoutes(app, collaborators);
  auditRoutes(app, collaborators);
  spaceRoutes(app, collaborators);
  secretRoutes(app, collaborators);
  agentRoutes(app, collaborators);
  buildRoutes(app, collaborators);
  sessionRoutes(app, collaborators);
  eventRoutes(app, collaborators);
  messageRoutes(app, collaborators);
  execRoutes(app, collaborators);
  docsPages(app);
  metricsPage(app, collaborators.metrics);
  fileRoutes(app, collaborators);
  terminalRoutes(app, collaborators);
  portRoutes(app, collaborators);
}

import { z } from "zod";
import type { Resource, Verb } from "./access.ts";
import {
  ChangePassword,
  CreateServiceAccount,
  ServiceAccount,
  ServiceAccountListQuery,
  UpdateServiceAccount,
} from "./accounts.ts";
import { Agent, AgentListQuery, CreateAgent, UpdateAgent } from "./agents.ts";
import { AuditEvent, AuditEventListQuery } from "./audit.ts";
import { LoginAnswer, LoginRequest, Me } from "./auth.ts";
import { Build, BuildListQuery, FollowQuery, StartBuild } from "./builds.ts";
import { EventListQuery, SessionEvent } from "./events.ts";
import { ExecAnswer, ExecRequest } from "./exec.ts";
import { FileDeleteQuery, FileEntry, FileMoveQuery, FileQuery } from "./files.ts";
import { ListQuery, QuerySwitch } from "./lists.ts";
import { AgentLog, AgentLogQuery, SessionLogQuery } from "./logs.ts";
import { CreateMessage, Message, MessageCount, MessageListQuery, MessageWithReply } from "./messages.ts";
import { Id, Name, UserName } from "./names.ts";
import { CreateRoleBinding, RoleBinding, RoleBindingListQuery } from "./role-bindings.ts";
import { CreateRole, Role, RoleName, UpdateRole } from "./roles.ts";
import { CreateSecret, KEY_NAME_PATTERN, Secret, SecretListQuery, SecretQuery, UpdateSecret } from "./secrets.ts";
import { CreateSession, DeletedQuery, ForkSession, Session, SessionListQuery, UpdateSession } from "./sessions.ts";
import { CreateSpace, Space, UpdateSpace } from "./spaces.ts";
import { Health, Version } from "./system.ts";
import { TerminalQuery } from "./terminals.ts";
import { ApiToken, ApiTokenListQuery, CreateApiToken, CreatedApiToken } from "./tokens.ts";
import { Usage } from "./usage.ts";

/** `public` needs no token; `self` needs a token and no right; else the right that the call needs. */
export type Access = "public" | "self" | { readonly resource: Resource; readonly verb: Verb };

export interface Route {
  readonly method: "GET" | "POST" | "PUT" | "PATCH" | "DELETE";
  /** Below API_BASE, with `:name` for parameters. */
  readonly path: string;
  readonly access: Access;
  readonly summary: string;
  readonly params?: z.ZodType;
  readonly query?: z.ZodType;
  readonly body?: z.ZodType;
  /** The body is bytes of any kind and length, which the handler reads as they come. */
  readonly bytes?: true;
  /** Status of success. */
  readonly status: 200 | 201 | 202 | 204;
  /** Body of success; none with 204 and where the answer is a stream or text. */
  readonly answer?: z.ZodType;
  /** Media types that success has beside JSON, or where it is never JSON. */
  readonly media?: readonly string[];
  /** Statuses beside `status` that the same answer comes with. */
  readonly otherStatuses?: readonly number[];
}

const SpaceParams = z.object({ space: Name });
const AgentParams = z.object({ space: Name, name: Name });
const BuildParams = z.object({ space: Name, build_id: Id });
const SessionParams = z.object({ id: Id });
/** What a program inside a session makes of a query is its own. */
const AnyQuery = z.record(z.string(), z.unknown());
/** A path that ends in a slash and a star takes any rest, also none. */
const PortParams = z.object({ id: Id, port: z.coerce.number().int().min(1).max(65_535), "*": z.string().default("") });
const FileParams = z.object({ id: Id, "*": z.string().default("") });
const AccountParams = z.object({ name: UserName });
const RoleParams = z.object({ name: RoleName });
const SecretParams = z.object({ space: Name, key_name: z.string().regex(KEY_NAME_PATTERN) });
const IdParams = z.object({ id: Id });
const to = (resource: Resource, verb: Verb) => ({ resource, verb });

/** Every call of the API. The server registers nothing else, and the client calls nothing else. */
export const ROUTES = {
  "health.get": {
    method: "GET",
    path: "/health",
    access: "public",
    summary: "Is the server well",
    status: 200,
    otherStatuses: [503],
    answer: Health,
  },
  "version.get": {
    method: "GET",
    path: "/version",
    access: "public",
    summary: "Version of the server",
    status: 200,
    answer: Version,
  },
  "auth.login": {
    method: "POST",
    path: "/auth/login",
    access: "public",
    summary: "Get a token",
    body: LoginRequest,
    status: 200,
    answer: LoginAnswer,
  },
  "auth.logout": { method: "POST", path: "/auth/logout", access: "self", summary: "Revoke the token", status: 204 },
  "auth.me": {
    method: "GET",
    path: "/auth/me",
    access: "self",
    summary: "Who am I, and what may I do",
    status: 200,
    answer: Me,
  },

  "tokens.list": {
    method: "GET",
    path: "/auth/tokens",
    access: "self",
    summary: "List API tokens: one's own, and others' with the right to",
    query: ApiTokenListQuery,
    status: 200,
    answer: z.array(ApiToken),
  },
  "tokens.create": {
    method: "POST",
    path: "/auth/tokens",
    access: "self",
    summary: "Make an API token; only this answer shows it",
    body: CreateApiToken,
    status: 201,
    answer: CreatedApiToken,
  },
  "tokens.get": {
    method: "GET",
    path: "/auth/tokens/:id",
    access: "self",
    summary: "Get an API token's record",
    params: IdParams,
    status: 200,
    answer: ApiToken,
  },
  "tokens.delete": {
    method: "DELETE",
    path: "/auth/tokens/:id",
    access: "self",
    summary: "Revoke an API token",
    params: IdParams,
    status: 204,
  },

  "service-accounts.list": {
    method: "GET",
    path: "/service-accounts",
    access: to("service-accounts", "list"),
    summary: "List accounts",
    query: ServiceAccountListQuery,
    status: 200,
    answer: z.array(ServiceAccount),
  },
  "service-accounts.create": {
    method: "POST",
    path: "/service-accounts",
    access: to("service-accounts", "create"),
    summary: "Make an account",
    body: CreateServiceAccount,
    status: 201,
    answer: ServiceAccount,
  },
  "service-accounts.get": {
    method: "GET",
    path: "/service-accounts/:name",
    access: to("service-accounts", "get"),
    summary: "Get an account",
    params: AccountParams,
    status: 200,
    answer: ServiceAccount,
  },
  "service-accounts.update": {
    method: "PUT",
    path: "/service-accounts/:name",
    access: to("service-accounts", "update"),
    summary: "Change an account",
    params: AccountParams,
    body: UpdateServiceAccount,
    status: 200,
    answer: ServiceAccount,
  },
  "service-accounts.delete": {
    method: "DELETE",
    path: "/service-accounts/:name",
    access: to("service-accounts", "delete"),
    summary: "Delete an account with its bindings and tokens",
    params: AccountParams,
    status: 204,
  },
  "service-accounts.set-password": {
    method: "PUT",
    path: "/service-accounts/:name/password",
    access: "self",
    summary: "Change one's own password, or with the right to another's",
    params: AccountParams,
    body: ChangePassword,
    status: 204,
  },

  "roles.list": {
    method: "GET",
    path: "/roles",
    access: to("roles", "list"),
    summary: "List roles",
    query: ListQuery,
    status: 200,
    answer: z.array(Role),
  },
  "roles.create": {
    method: "POST",
    path: "/roles",
    access: to("roles", "create"),
    summary: "Make a role",
    body: CreateRole,
    status: 201,
    answer: Role,
  },
  "roles.get": {
    method: "GET",
    path: "/roles/:name",
    access: to("roles", "get"),
    summary: "Get a role",
    params: RoleParams,
    status: 200,
    answer: Role,
  },
  "roles.update": {
    method: "PUT",
    path: "/roles/:name",
    access: to("roles", "update"),
    summary: "Change a role",
    params: RoleParams,
    body: UpdateRole,
    status: 200,
    answer: Role,
  },
  "roles.delete": {
    method: "DELETE",
    path: "/roles/:name",
    access: to("roles", "delete"),
    summary: "Delete a role that nobody is bound to",
    params: RoleParams,
    status: 204,
  },

  "role-bindings.list": {
    method: "GET",
    path: "/role-bindings",
    access: to("role-bindings", "list"),
    summary: "List role bindings",
    query: RoleBindingListQuery,
    status: 200,
    answer: z.array(RoleBinding),
  },
  "role-bindings.create": {
    method: "POST",
    path: "/role-bindings",
    access: to("role-bindings", "create"),
    summary: "Give a principal a role, in a space or everywhere",
    body: CreateRoleBinding,
    status: 201,
    answer: RoleBinding,
  },
  "role-bindings.get": {
    method: "GET",
    path: "/role-bindings/:id",
    access: to("role-bindings", "get"),
    summary: "Get a role binding",
    params: IdParams,
    status: 200,
    answer: RoleBinding,
  },
  "role-bindings.delete": {
    method: "DELETE",
    path: "/role-bindings/:id",
    access: to("role-bindings", "delete"),
    summary: "Take a role away",
    params: IdParams,
    status: 204,
  },

  "audit-events.list": {
    method: "GET",
    path: "/audit-events",
    access: to("audit-events", "list"),
    summary: "List audit events",
    query: AuditEventListQuery,
    status: 200,
    answer: z.array(AuditEvent),
  },

  "secrets.list": {
    method: "GET",
    path: "/spaces/:space/secrets",
    access: to("secrets", "list"),
    summary: "List secrets; ?show_values=true needs read-values",
    params: SpaceParams,
    query: SecretListQuery,
    status: 200,
    answer: z.array(Secret),
  },
  "secrets.create": {
    method: "POST",
    path: "/spaces/:space/secrets",
    access: to("secrets", "create"),
    summary: "Keep a secret",
    params: SpaceParams,
    body: CreateSecret,
    status: 201,
    answer: Secret,
  },
  "secrets.get": {
    method: "GET",
    path: "/spaces/:space/secrets/:key_name",
    access: to("secrets", "get"),
    summary: "Get a secret; ?show_values=true needs read-values",
    params: SecretParams,
    query: SecretQuery,
    status: 200,
    answer: Secret,
  },
  "secrets.update": {
    method: "PUT",
    path: "/spaces/:space/secrets/:key_name",
    access: to("secrets", "update"),
    summary: "Change a secret",
    params: SecretParams,
    body: UpdateSecret,
    status: 200,
    answer: Secret,
  },
  "secrets.delete": {
    method: "DELETE",
    path: "/spaces/:space/secrets/:key_name",
    access: to("secrets", "delete"),
    summary: "Delete a secret",
    params: SecretParams,
    status: 204,
  },

  "spaces.list": {
    method: "GET",
    path: "/spaces",
    access: to("spaces", "list"),
    summary: "List spaces",
    query: ListQuery,
    status: 200,
    answer: z.array(Space),
  },
  "spaces.create": {
    method: "POST",
    path: "/spaces",
    access: to("spaces", "create"),
    summary: "Create a space",
    body: CreateSpace,
    status: 201,
    answer: Space,
  },
  "spaces.get": {
    method: "GET",
    path: "/spaces/:space",
    access: to("spaces", "get"),
    summary: "Get a space",
    params: SpaceParams,
    status: 200,
    answer: Space,
  },
  "spaces.update": {
    method: "PUT",
    path: "/spaces/:space",
    access: to("spaces", "update"),
    summary: "Change a space",
    params: SpaceParams,
    body: UpdateSpace,
    status: 200,
    answer: Space,
  },
  "spaces.delete": {
    method: "DELETE",
    path: "/spaces/:space",
    access: to("spaces", "delete"),
    summary: "Delete a space",
    params: SpaceParams,
    query: z.strictObject({ force: QuerySwitch.default(false) }),
    status: 204,
  },

  "agents.list": {
    method: "GET",
    path: "/spaces/:space/agents",
    access: to("agents", "list"),
    summary: "List agents",
    params: SpaceParams,
    query: AgentListQuery,
    status: 200,
    answer: z.array(Agent),
  },
  "agents.create": {
    method: "POST",
    path: "/spaces/:space/agents",
    access: to("agents", "create"),
    summary: "Register an agent",
    params: SpaceParams,
    body: CreateAgent,
    status: 201,
    answer: Agent,
  },
  "agents.get": {
    method: "GET",
    path: "/spaces/:space/agents/:name",
    access: to("agents", "get"),
    summary: "Get an agent",
    params: AgentParams,
    status: 200,
    answer: Agent,
  },
  "agents.update": {
    method: "PUT",
    path: "/spaces/:space/agents/:name",
    access: to("agents", "update"),
    summary: "Change an agent",
    params: AgentParams,
    body: UpdateAgent,
    status: 200,
    answer: Agent,
  },
  "agents.delete": {
    method: "DELETE",
    path: "/spaces/:space/agents/:name",
    access: to("agents", "delete"),
    summary: "Delete an agent",
    params: AgentParams,
    status: 204,
  },
  "agents.deploy": {
    method: "POST",
    path: "/spaces/:space/agents/:name/deploy",
    access: to("builds", "create"),
    summary: "Build an agent now",
    params: AgentParams,
    status: 202,
    answer: Build,
  },
  "agents.logs": {
    method: "GET",
    path: "/spaces/:space/agents/:name/logs",
    access: to("agents", "get"),
    summary: "Log of the newest message that an agent has handled; with ?follow=true a stream of lines",
    params: AgentParams,
    query: AgentLogQuery,
    status: 200,
    answer: AgentLog,
    media: ["text/plain", "text/event-stream"],
  },
  "agents.stop": {
    method: "POST",
    path: "/spaces/:space/agents/:name/stop",
    access: to("agents", "update"),
    summary: "Keep an agent out of builds",
    params: AgentParams,
    status: 200,
    answer: Agent,
  },

  "builds.create": {
    method: "POST",
    path: "/spaces/:space/build",
    access: to("builds", "create"),
    summary: "Build all agents of a space",
    params: SpaceParams,
    body: StartBuild,
    status: 202,
    answer: Build,
  },
  "builds.list": {
    method: "GET",
    path: "/spaces/:space/builds",
    access: to("builds", "list"),
    summary: "List builds",
    params: SpaceParams,
    query: BuildListQuery,
    status: 200,
    answer: z.array(Build),
  },
  "builds.latest": {
    method: "GET",
    path: "/spaces/:space/build/latest",
    access: to("builds", "get"),
    summary: "Get the newest build",
    params: SpaceParams,
    status: 200,
    answer: Build,
  },
  "builds.get": {
    method: "GET",
    path: "/spaces/:space/build/:build_id",
    access: to("builds", "get"),
    summary: "Get a build",
    params: BuildParams,
    status: 200,
    answer: Build,
  },
  "builds.logs": {
    method: "GET",
    path: "/spaces/:space/build/:build_id/logs",
    access: to("builds", "get"),
    summary: "Log of a build",
    params: BuildParams,
    query: FollowQuery,
    status: 200,
    media: ["text/plain", "text/event-stream"],
  },
  "builds.cancel": {
    method: "POST",
    path: "/spaces/:space/build/:build_id/cancel",
    access: to("builds", "update"),
    summary: "Cancel a build",
    params: BuildParams,
    status: 202,
    answer: Build,
  },

  "sessions.list": {
    method: "GET",
    path: "/sessions",
    access: to("sessions", "list"),
    summary: "List sessions",
    query: SessionListQuery,
    status: 200,
    answer: z.array(Session),
  },
  "sessions.create": {
    method: "POST",
    path: "/sessions",
    access: to("sessions", "create"),
    summary: "Open a session",
    body: CreateSession,
    status: 201,
    answer: Session,
  },
  "sessions.get": {
    method: "GET",
    path: "/sessions/:id",
    access: to("sessions", "get"),
    summary: "Get a session",
    params: SessionParams,
    query: DeletedQuery,
    status: 200,
    answer: Session,
  },
  "sessions.update": {
    method: "PUT",
    path: "/sessions/:id",
    access: to("sessions", "update"),
    summary: "Change a session",
    params: SessionParams,
    body: UpdateSession,
    status: 200,
    answer: Session,
  },
  "sessions.delete": {
    method: "DELETE",
    path: "/sessions/:id",
    access: to("sessions", "delete"),
    summary: "Delete a session",
    params: SessionParams,
    status: 204,
  },
  "sessions.exec": {
    method: "POST",
    path: "/sessions/:id/exec",
    access: to("session-exec", "exec"),
    summary: "Run a command: a JSON answer, or a stream with Accept: text/event-stream",
    params: SessionParams,
    body: ExecRequest,
    status: 200,
    answer: ExecAnswer,
    media: ["text/event-stream"],
  },
  "sessions.pause": {
    method: "POST",
    path: "/sessions/:id/pause",
    access: to("sessions", "update"),
    summary: "Stop a session's computer; its files stay",
    params: SessionParams,
    status: 200,
    answer: Session,
  },
  "sessions.fork": {
    method: "POST",
    path: "/sessions/:id/fork",
    access: to("sessions", "create"),
    summary: "Open a session with another one's files and history",
    params: SessionParams,
    body: ForkSession,
    status: 201,
    answer: Session,
  },
  "sessions.resume": {
    method: "POST",
    path: "/sessions/:id/resume",
    access: to("sessions", "update"),
    summary: "Start a paused session, or retry one in error",
    params: SessionParams,
    status: 200,
    answer: Session,
  },
  "sessions.cancel": {
    method: "POST",
    path: "/sessions/:id/cancel",
    access: to("sessions", "update"),
    summary: "Cancel the running message",
    params: SessionParams,
    status: 202,
    answer: Session,
  },
  "events.list": {
    method: "GET",
    path: "/sessions/:id/events",
    access: to("sessions", "get"),
    summary: "Event log: a list, or a stream with Accept: text/event-stream",
    params: SessionParams,
    query: EventListQuery,
    status: 200,
    answer: z.array(SessionEvent),
    media: ["text/event-stream"],
  },

  "sessions.logs": {
    method: "GET",
    path: "/sessions/:id/logs",
    access: to("sessions", "get"),
    summary: "The last lines of the host's and of the agents' logs; with ?follow=true also those to come",
    params: SessionParams,
    query: SessionLogQuery,
    status: 200,
    media: ["text/plain", "text/event-stream"],
  },
  "sessions.usage": {
    method: "GET",
    path: "/sessions/:id/usage",
    access: to("sessions", "get"),
    summary: "What a session uses, and has used",
    params: SessionParams,
    query: DeletedQuery,
    status: 200,
    answer: Usage,
  },
  "sessions.terminal": {
    method: "GET",
    path: "/sessions/:id/terminal",
    access: to("session-exec", "exec"),
    summary: "Look on a terminal, which is made when there is none: a WebSocket",
    params: SessionParams,
    query: TerminalQuery,
    status: 200,
  },
  "ports.get": {
    method: "GET",
    path: "/sessions/:id/ports/:port/*",
    access: to("sessions", "get"),
    summary: "Pass a request, or a WebSocket, on to a port inside the session",
    params: PortParams,
    query: AnyQuery,
    status: 200,
    media: ["*/*"],
  },
  "ports.post": {
    method: "POST",
    path: "/sessions/:id/ports/:port/*",
    access: to("sessions", "get"),
    summary: "Pass a request on to a port inside the session",
    params: PortParams,
    query: AnyQuery,
    bytes: true,
    status: 200,
    media: ["*/*"],
  },
  "ports.put": {
    method: "PUT",
    path: "/sessions/:id/ports/:port/*",
    access: to("sessions", "get"),
    summary: "Pass a request on to a port inside the session",
    params: PortParams,
    query: AnyQuery,
    bytes: true,
    status: 200,
    media: ["*/*"],
  },
  "ports.delete": {
    method: "DELETE",
    path: "/sessions/:id/ports/:port/*",
    access: to("sessions", "get"),
    summary: "Pass a request on to a port inside the session",
    params: PortParams,
    query: AnyQuery,
    bytes: true,
    status: 200,
    media: ["*/*"],
  },

  "files.get": {
    method: "GET",
    path: "/sessions/:id/files/*",
    access: to("session-files", "get"),
    summary: "A file's content, whole or in ranges; ?list=true lists a folder, ?stat=true describes what is there",
    params: FileParams,
    query: FileQuery,
    status: 200,
    answer: z.union([z.array(FileEntry), FileEntry]),
    media: ["application/octet-stream"],
    otherStatuses: [206, 304],
  },
  "files.put": {
    method: "PUT",
    path: "/sessions/:id/files/*",
    access: to("session-files", "update"),
    summary: "Write a file, as a whole or not at all; the folders above it are made",
    params: FileParams,
    bytes: true,
    status: 201,
    otherStatuses: [200],
    answer: FileEntry,
  },
  "files.move": {
    method: "POST",
    path: "/sessions/:id/files/*",
    access: to("session-files", "update"),
    summary: "Move a file or folder to another path",
    params: FileParams,
    query: FileMoveQuery,
    status: 200,
    answer: FileEntry,
  },
  "files.delete": {
    method: "DELETE",
    path: "/sessions/:id/files/*",
    access: to("session-files", "delete"),
    summary: "Delete a file, or with ?recursive=true a folder",
    params: FileParams,
    query: FileDeleteQuery,
    status: 204,
  },

  "messages.list": {
    method: "GET",
    path: "/sessions/:id/messages",
    access: to("session-messages", "list"),
    summary: "List messages",
    params: SessionParams,
    query: MessageListQuery,
    status: 200,
    answer: z.array(Message),
  },
  "messages.create": {
    method: "POST",
    path: "/sessions/:id/messages",
    access: to("session-messages", "create"),
    summary: "Send a message",
    params: SessionParams,
    body: CreateMessage,
    status: 201,
    answer: z.union([MessageWithReply, Message]),
  },
  "messages.delete": {
    method: "DELETE",
    path: "/sessions/:id/messages",
    access: to("session-messages", "delete"),
    summary: "Delete all messages that have ended; what waits or runs goes on",
    params: SessionParams,
    status: 204,
  },
  "messages.count": {
    method: "GET",
    path: "/sessions/:id/messages/count",
    access: to("session-messages", "list"),
    summary: "Count messages",
    params: SessionParams,
    query: DeletedQuery,
    status: 200,
    answer: MessageCount,
  },
} as const satisfies Record<string, Route>;

export type RouteName = keyof typeof ROUTES;

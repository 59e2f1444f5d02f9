import { type AgentLog, type AgentLogQuery, type HostLogLine, RaworcError } from "@raworc/contract";
import type { FastifyInstance } from "fastify";
import { sessionScope } from "../../domain/access-scope.ts";
import { findNewestReplyOf } from "../../store/messages.ts";
import { listSessions } from "../../store/sessions.ts";
import type { CallerCall } from "../call.ts";
import type { Collaborators } from "../collaborators.ts";
import { acceptsEventStream, sendEvents } from "../event-stream.ts";
import { mapAsync } from "../map-async.ts";
import { route } from "../route.ts";
import { sendText } from "../stream.ts";
import { locateAgent, locateSession } from "./locations.ts";
import { openLogs } from "./session-logs.ts";

/** Newest sessions of a space in which an agent's log is looked for. */
const SESSIONS_MAX = 20;

type AgentLogCall = CallerCall<"agents.logs">;

export function agentLogRoutes(app: FastifyInstance, { sessions, store }: Collaborators): void {
  const byName = ({ params }: { params: { space: string; name: string } }) =>
    locateAgent(store.read, params.space, params.name);

  route(app, "agents.logs", { locate: byName }, async (call) => {
    const { located, query, reply, request, signal } = call;
    const { agent, space } = located;
    const { name } = agent;
    const id = query.session_id === undefined ? await findSessionOf(call, space.id, name) : await named(call, space.id);
    const asked = { lines: query.lines, agent: name, follow: query.follow };
    if (!query.follow) {
      const lines = id === undefined ? noLines() : await openLogs(sessions, id, asked, signal);
      return collect(lines, { agent_name: name, space: space.name }, query);
    }
    if (id === undefined) {
      const detail = `${name} has answered in none of the newest sessions; name one by session_id.`;
      throw new RaworcError("not_found", detail);
    }
    const lines = only(await openLogs(sessions, id, asked, signal), query);
    if (acceptsEventStream(request)) {
      const toEvent = (line: HostLogLine) => ({ type: "agent.log", data: { stream: streamOf(line), line: line.line } });
      return sendEvents(app, reply, mapAsync(lines, toEvent));
    }
    return sendText(
      app,
      reply,
      mapAsync(lines, ({ line }) => `${line}\n`),
    );
  });

  /** Whoever may see the agent may not yet see each session that it works in. */
  async function named({ authorize, query }: AgentLogCall, spaceId: string): Promise<string> {
    const located = await locateSession(store.read, query.session_id ?? "", { deleted: false });
    authorize("get", "sessions", located);
    if (located.session.space_id === spaceId) return located.session.id;
    throw new RaworcError("not_found", "The session is in another space than the agent.");
  }

  /** The session whose reply of the agent is the newest, of those that the caller may see and that can be asked. */
  async function findSessionOf({ principal }: AgentLogCall, spaceId: string, agent: string) {
    const scope = sessionScope(principal);
    const { items } = await listSessions(store.read, { limit: SESSIONS_MAX, spaceId, deleted: false, scope });
    let newest: { readonly id: string; readonly at: string } | undefined;
    for (const { id, state } of items) {
      if (state !== "idle" && state !== "busy") continue;
      const at = await findNewestReplyOf(store.read, id, agent);
      if (at !== undefined && (newest === undefined || at > newest.at)) newest = { id, at };
    }
    return newest?.id;
  }
}

async function* noLines(): AsyncGenerator<HostLogLine> {}

function streamOf({ source }: HostLogLine): "stdout" | "stderr" {
  return source.endsWith("/stderr") ? "stderr" : "stdout";
}

async function* only(lines: AsyncIterable<HostLogLine>, { log_type }: AgentLogQuery): AsyncGenerator<HostLogLine> {
  for await (const line of lines) if (log_type === "all" || log_type === streamOf(line)) yield line;
}

async function collect(
  lines: AsyncIterable<HostLogLine>,
  whose: Pick<AgentLog, "agent_name" | "space">,
  query: AgentLogQuery,
): Promise<AgentLog> {
  const texts = { stdout: "", stderr: "" };
  let timestamp: string | null = null;
  for await (const line of only(lines, query)) {
    texts[streamOf(line)] += `${line.line}\n`;
    timestamp ??= timeOf(line.file);
  }
  return { ...whose, ...texts, timestamp };
}

/** From a name as in `{agent}_20261124_081530_123_stdout.log`. */
function timeOf(file: string): string | null {
  const pattern = /_(\d{4})(\d\d)(\d\d)_(\d\d)(\d\d)(\d\d)_(\d{3})_std(?:out|err)\.log$/;
  const [, year, month, day, hour, minute, second, millisecond] = pattern.exec(file) ?? [];
  return year === undefined ? null : `${year}-${month}-${day}T${hour}:${minute}:${second}.${millisecond}Z`;
}

import type { Message, Session, SessionEvent } from "@raworc/contract";
import type { Client } from "../support/test-server.ts";
import { answerOf, EFFECTS } from "./counter-agent.ts";
import { digest } from "./follower.ts";
import type { History } from "./history.ts";
import type { KnownSession, Ledger } from "./ledger.ts";
import { COMMANDS } from "./user.ts";

interface Checked {
  readonly client: Client;
  readonly ledger: Ledger;
  readonly history: History;
}

/** Everything that must hold of the records, whatever was killed. Broken promises go into the history. */
export async function checkRecords({ client, ledger, history }: Checked): Promise<void> {
  const known = new Set<string>();
  for (const { id } of ledger.sessions.values()) {
    for await (const { id: message } of messagesOf(client, id)) known.add(message);
  }
  for (const session of ledger.sessions.values()) {
    const record = await client.call("sessions.get", { params: { id: session.id }, query: { deleted: true } });
    const events = await eventsOf(client, session.id);
    const messages: Message[] = [];
    for await (const message of messagesOf(client, session.id)) messages.push(message);
    checkEvents(session, events, history);
    checkAcceptance(session, messages, history);
    const isFork = record.parent_session_id !== null;
    for (const message of messages) {
      if (message.role === "user") checkMessage({ session, message, messages, events, record, isFork, history });
    }
    if (record.state === "idle") await checkEffects({ client, session, messages, isFork, known, history });
    else if (record.state !== "deleted")
      history.violation(`${session.id} is in state ${record.state}: ${record.error}`);
  }
}

async function* messagesOf(client: Client, id: string): AsyncGenerator<Message> {
  for (let after = 0; ; ) {
    const query = { after, limit: 1000, deleted: true };
    const page = await client.call("messages.list", { params: { id }, query });
    yield* page;
    const last = page.at(-1);
    if (last === undefined) return;
    after = last.seq;
  }
}

async function eventsOf(client: Client, id: string): Promise<SessionEvent[]> {
  const events: SessionEvent[] = [];
  for (;;) {
    const query = { after: events.at(-1)?.id ?? 0, limit: 1000, deleted: true };
    const page = await client.call("events.list", { params: { id }, query });
    if (page.length === 0) return events;
    events.push(...page);
  }
}

/** Numbers have no gap, and each follower has seen what is recorded. */
function checkEvents(session: KnownSession, events: readonly SessionEvent[], history: History): void {
  events.forEach((event, index) => {
    if (event.id !== index + 1) history.violation(`log of ${session.id}: event ${event.id} is at place ${index + 1}`);
  });
  const recorded = events.map(digest);
  for (const { seen } of session.followers) {
    const different = recorded.findIndex((line, index) => seen[index] !== line);
    if (different !== -1 || seen.length !== recorded.length) {
      const at = different === -1 ? recorded.length : different;
      history.violation(
        `a stream of ${session.id} showed ${seen.length} of ${recorded.length} events; the first other one is ` +
          `${JSON.stringify(seen[at])} for ${JSON.stringify(recorded[at])}`,
      );
    }
  }
}

/** What was accepted is there, and nothing is there twice. */
function checkAcceptance(session: KnownSession, messages: readonly Message[], history: History): void {
  const ids = new Set(messages.map(({ id }) => id));
  for (const { id } of session.accepted) {
    if (!ids.has(id)) history.violation(`the accepted message ${id} of ${session.id} is gone`);
  }
  const counts = new Map<string, number>();
  for (const { role, content } of messages) {
    if (role === "user") counts.set(content, (counts.get(content) ?? 0) + 1);
  }
  for (const [content, count] of counts) {
    if (count > 1) history.violation(`a message of ${session.id} was made ${count} times: ${content}`);
  }
}

interface CheckedMessage {
  readonly session: KnownSession;
  readonly message: Message;
  readonly messages: readonly Message[];
  readonly events: readonly SessionEvent[];
  readonly record: Session;
  readonly isFork: boolean;
  readonly history: History;
}

/** One end, which is a reply, or a failure or a cancellation with a reason for it. */
function checkMessage(checked: CheckedMessage): void {
  const { session, message, messages, events, record, isFork, history } = checked;
  const about = `message ${message.id} of ${session.id}`;
  const ofType = (type: SessionEvent["type"]) =>
    events.filter((event) => event.type === type && event.data["message_id"] === message.id);
  // What a fork has of its parent was answered there, under other ids.
  if (isFork && message.created_at <= record.created_at) return;
  const [end, ...more] = ofType("message.end");
  if (end === undefined || more.length > 0) {
    history.violation(`${about} has ${end === undefined ? 0 : more.length + 1} ends; it is ${message.status}`);
    return;
  }
  if (end.data["status"] !== message.status) history.violation(`${about}: its end and its record differ`);
  const starts = ofType("message.start");
  if (starts.length > 1) history.violation(`${about} was started ${starts.length} times`);
  const replies = messages.filter(({ in_reply_to }) => in_reply_to === message.id);
  if (replies.length !== (message.status === "cancelled" ? 0 : 1)) {
    history.violation(`${about} is ${message.status} and has ${replies.length} replies`);
  }
  const text = ofType("message.delta").map(({ data }) => String(data["text"]));
  if (message.status === "done") {
    const whole = text.join("");
    const reply = replies[0]?.content ?? "";
    if (whole !== reply)
      history.violation(`${about}: its pieces (${whole.length}) are not its reply (${reply.length})`);
    const expected = answerOf(message.id, message.content);
    if (reply !== expected) history.violation(`${about} was answered ${JSON.stringify(reply.slice(0, 200))}`);
  } else if (!isExcused(checked, starts[0], end)) {
    history.violation(`${about} is ${message.status} without a reason: ${JSON.stringify(message.error)}`);
  }
}

function isExcused(
  { session, message, record, history }: CheckedMessage,
  start: SessionEvent | undefined,
  end: SessionEvent,
): boolean {
  const from = Date.parse((start ?? end).created_at);
  const until = Date.parse(end.created_at);
  if (message.status === "failed") return start !== undefined && history.wasDisturbed(session.id, from, until);
  // A wish to cancel is sent before the message ends, and may be passed on only when the next server runs.
  const isWithin = (at: number) => at >= from - 1000 && at <= until;
  return session.cancels.some(isWithin) || session.pauses.some(isWithin) || record.state === "deleted";
}

interface CheckedEffects {
  readonly client: Client;
  readonly session: KnownSession;
  readonly messages: readonly Message[];
  readonly isFork: boolean;
  readonly known: ReadonlySet<string>;
  readonly history: History;
}

/** What the agent and the commands did was done once. */
async function checkEffects(checked: CheckedEffects): Promise<void> {
  const { client, session, messages, isFork, known, history } = checked;
  const read = async (path: string): Promise<string[]> => {
    const body = { command: `cat ${path} 2>/dev/null; true` };
    const { stdout } = await client.call("sessions.exec", { params: { id: session.id }, body });
    return stdout.split("\n").filter(Boolean);
  };
  const effects = await read(EFFECTS);
  for (const [what, lines] of [
    ["message", effects],
    ["command", await read(COMMANDS)],
  ] as const) {
    const twice = lines.find((line, index) => lines.indexOf(line) !== index);
    if (twice !== undefined) history.violation(`the ${what} ${twice} of ${session.id} took effect twice`);
    const missing = what === "command" ? session.commands.find((marker) => !lines.includes(marker)) : undefined;
    if (missing !== undefined) history.violation(`the command ${missing} of ${session.id} took no effect`);
  }
  const stranger = effects.find((id) => !known.has(id));
  if (stranger !== undefined)
    history.violation(`${session.id} handled the message ${stranger}, which was never recorded`);
  const own = messages.filter(({ role, status }) => role === "user" && status === "done");
  const unhandled = own.find(({ id }) => !effects.includes(id));
  // A fork has its parent's messages under other ids.
  if (unhandled !== undefined && !isFork) history.violation(`the message ${unhandled.id} is done and took no effect`);
}

import { asProblem, type Client } from "@raworc/client";
import { Session } from "@raworc/contract";
import type { Context } from "../../context.ts";
import { formatSpan } from "../../durations.ts";
import { formatFields, formatTable } from "../../table.ts";
import { cleanLine } from "../../terminal-text.ts";
import type { Conversation } from "./conversation.ts";

export interface Talk {
  readonly context: Context;
  readonly client: Client;
  readonly conversation: Conversation;
  /** Whether the session stays when the talk ends. */
  keep: boolean;
  ended: boolean;
}

interface SlashCommand {
  readonly names: readonly string[];
  readonly help: string;
  readonly run: (talk: Talk) => Promise<void> | void;
}

const SLASH_COMMANDS: readonly SlashCommand[] = [
  { names: ["/help"], help: "this list", run: showHelp },
  { names: ["/status"], help: "the session's state, agents and limits", run: showStatus },
  { names: ["/files"], help: "files in the session's workspace", run: showFiles },
  { names: ["/pause"], help: "stop the session's computer and keep its files; a message wakes it", run: pause },
  { names: ["/fork"], help: "make a second session out of this one", run: fork },
  { names: ["/keep"], help: "keep the session when you quit", run: keep },
  { names: ["/quit", "/q", "/exit"], help: "end, and delete the session unless it is kept", run: quit },
];

/** Runs the command that a line names. False when the line is a message. */
export async function runSlashCommand(talk: Talk, line: string): Promise<boolean> {
  const word = line.trim();
  const command = SLASH_COMMANDS.find(({ names }) => names.includes(word));
  if (command !== undefined) {
    await command.run(talk);
    return true;
  }
  if (!/^\/[a-z]+$/.test(word)) return false;
  talk.context.streams.out.line(`There is no command ${word}; /help lists them. A message may begin with a space.`);
  return true;
}

function showHelp({ context: { streams } }: Talk): void {
  const { out } = streams;
  const rows = SLASH_COMMANDS.map(({ names, help }) => [{ text: names.join(" ") }, { text: help }]);
  for (const line of formatTable(rows, { indent: "  " })) out.line(line);
  out.line("  Ctrl-C cancels the message that runs; twice ends like /quit.");
  out.line("  @name at the start of a message says which agent shall answer.");
}

async function showStatus({ context, conversation }: Talk): Promise<void> {
  const session = await conversation.current();
  const agents = await conversation.agents();
  const { limits } = session;
  const fields: [string, string][] = [
    ["Session", session.id],
    ...(session.name === null ? [] : [["Name", cleanLine(session.name)] as [string, string]]),
    ["Space", session.space],
    ["State", session.tier === "active" ? session.state : `${session.state} (${session.tier})`],
    ["Agents", agents.join(", ") || "none"],
    ["Network", session.network.mode],
    [
      "Limits",
      `${limits.cpus} CPU, ${limits.memory_mb} MiB memory, ${limits.disk_mb} MiB disk, ${limits.pids} processes`,
    ],
    ["Age", formatSpan(context.now() - Date.parse(session.created_at))],
  ];
  for (const line of formatFields(fields, "  ")) context.streams.out.line(line);
}

async function showFiles({ client, context, conversation }: Talk): Promise<void> {
  const { out } = context.streams;
  const answer = await ask(client, `sessions/${conversation.id}/files/workspace?list=true`, "GET");
  if (answer.problem !== undefined) return tellProblem(context, answer.problem);
  const files = Array.isArray(answer.value)
    ? (answer.value as { name?: unknown; type?: unknown; size?: unknown }[])
    : [];
  if (files.length === 0) out.line("  The workspace is empty.");
  const rows = files.map(({ name, type, size }) => {
    const isFolder = type === "directory" || type === "folder";
    return [
      { text: isFolder ? "-" : String(size ?? "") },
      { text: `${cleanLine(String(name))}${isFolder ? "/" : ""}` },
    ];
  });
  for (const line of formatTable(rows, { indent: "  ", right: new Set([0]) })) out.line(line);
}

async function pause(talk: Talk): Promise<void> {
  const { client, context, conversation } = talk;
  const answer = await ask(client, `sessions/${conversation.id}/pause`, "POST");
  if (answer.problem !== undefined) return tellProblem(context, answer.problem);
  // Who pauses a session wants it to be there later.
  talk.keep = true;
  context.streams.out.line(
    `  Paused, and kept when you quit. A message wakes it; so does: raworc session --resume ${conversation.id}`,
  );
}

async function fork({ client, context, conversation }: Talk): Promise<void> {
  const answer = await ask(client, `sessions/${conversation.id}/fork`, "POST");
  if (answer.problem !== undefined) return tellProblem(context, answer.problem);
  context.streams.out.line(`  Forked. Go on there: raworc session --resume ${Session.parse(answer.value).id} --keep`);
}

function keep(talk: Talk): void {
  talk.keep = true;
  talk.context.streams.out.line(
    `  The session is kept. Take it up again: raworc session --resume ${talk.conversation.id}`,
  );
}

function quit(talk: Talk): void {
  talk.ended = true;
}

interface Asked {
  readonly value: unknown;
  readonly problem: string | undefined;
}

/** A call that a server may not know: what it says is the answer. */
async function ask(client: Client, path: string, method: "GET" | "POST"): Promise<Asked> {
  const response = await client.raw(path, { method });
  const text = await response.text();
  if (response.ok) return { value: JSON.parse(text), problem: undefined };
  return { value: undefined, problem: asProblem(text)?.detail ?? `The server answered ${response.status}.` };
}

function tellProblem({ streams: { out } }: Context, problem: string): void {
  out.line(`  ${out.paint("red", "Not possible:")} ${cleanLine(problem)}`);
}

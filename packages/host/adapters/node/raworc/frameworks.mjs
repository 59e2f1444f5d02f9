// Objects of agent frameworks, known by what they can do. Nothing of a framework is imported here.
import { contentText, isMessage, messageType, resultText } from "./texts.mjs";

const ANSWER_KEYS = ["output", "answer", "result", "response", "text", "content"];

/** A function (target, message, answer, signal) that drives the object, or undefined for what is no framework's. */
export function findFramework(target) {
  if ((typeof target !== "object" && typeof target !== "function") || target === null) return undefined;
  if (can(target, "compile") && can(target, "addNode")) return driveUncompiled;
  if (can(target, "invoke") && can(target, "stream")) return can(target, "getState") ? driveGraph : driveRunnable;
  if (can(target, "generate") && can(target, "stream")) return driveAgent;
  if (isAsyncIterable(target.textStream)) return driveTextStream;
  return undefined;
}

export function isAsyncIterable(value) {
  return typeof value?.[Symbol.asyncIterator] === "function";
}

function can(target, method) {
  return typeof target[method] === "function";
}

/** Vercel AI SDK: an agent. */
async function driveAgent(agent, message, answer, signal) {
  await driveTextStream(
    await agent.stream({ messages: messages(message, false), abortSignal: signal }),
    message,
    answer,
  );
}

/** Vercel AI SDK: what streamText gives. */
async function driveTextStream(result, _message, answer) {
  for await (const text of result.textStream) answer.stream(text);
  const usage = await (result.totalUsage ?? result.usage);
  answer.count(usage?.inputTokens, usage?.outputTokens);
}

async function driveUncompiled(graph, message, answer, signal) {
  await driveGraph(graph.compile(), message, answer, signal);
}

/** LangGraph.js. Shows what models say, and not what tools and people do; an empty line between two messages. */
async function driveGraph(graph, message, answer, signal) {
  // With a checkpointer the graph itself remembers the thread.
  const input = { messages: messages(message, Boolean(graph.checkpointer)) };
  let state;
  let current;
  for await (const [mode, payload] of await graph.stream(input, {
    ...configuration(message, signal),
    streamMode: ["messages", "values"],
  })) {
    if (mode === "values") {
      state = payload;
      continue;
    }
    const [chunk] = payload;
    if (!isMessage(chunk) || messageType(chunk) !== "ai") continue;
    count(chunk, answer);
    const text = contentText(chunk.content);
    if (text === "") continue;
    if (current !== undefined && chunk.id !== current) answer.stream("\n\n");
    current = chunk.id;
    answer.stream(text);
  }
  if (!answer.streamed) answer.finish(lastAnswer(state));
}

/** LangChain.js. */
async function driveRunnable(runnable, message, answer, signal) {
  const input = isChatModel(runnable) ? messages(message, false) : runnableInput(runnable, message);
  let rest;
  for await (const chunk of await runnable.stream(input, configuration(message, signal))) {
    count(chunk, answer);
    if (typeof chunk === "string" || isMessage(chunk)) answer.stream(chunk);
    else rest = isPlain(rest) && isPlain(chunk) ? { ...rest, ...chunk } : chunk;
  }
  if (!answer.streamed) answer.finish(mainValue(rest));
}

function isChatModel(runnable) {
  return can(runnable, "_modelType") && runnable._modelType() === "base_chat_model";
}

/** A chain that begins with a prompt takes the prompt's variables. */
function runnableInput(runnable, message) {
  const first = runnable.first ?? runnable;
  const names = Array.isArray(first.inputVariables) ? first.inputVariables : [];
  if (names.length === 0) return message.content;
  const history = ["messages", "history", "chat_history"];
  return Object.fromEntries(
    names.map((name) => {
      if (!history.includes(name)) return [name, message.content];
      const all = messages(message, false);
      return [name, name === "messages" ? all : all.slice(0, -1)];
    }),
  );
}

function configuration(message, signal) {
  return { configurable: { thread_id: message.context.session_id }, signal };
}

function messages({ content, context }, remembers) {
  const roles = { user: "user", agent: "assistant" };
  const before = remembers ? [] : (context.history ?? []).filter(({ role }) => Object.hasOwn(roles, role));
  return [...before.map((entry) => ({ role: roles[entry.role], content: entry.content })), { role: "user", content }];
}

function count(message, answer) {
  const usage = message?.usage_metadata;
  if (usage) answer.count(usage.input_tokens, usage.output_tokens);
}

function lastAnswer(state) {
  const last = Array.isArray(state?.messages) ? state.messages.at(-1) : undefined;
  return last === undefined ? mainValue(state) : contentText(last.content);
}

function mainValue(value) {
  if (isPlain(value)) {
    for (const key of ANSWER_KEYS) if (typeof value[key] === "string") return value[key];
  }
  return resultText(value);
}

function isPlain(value) {
  return typeof value === "object" && value !== null && Object.getPrototypeOf(value) === Object.prototype;
}

import { execFile } from "node:child_process";
import { existsSync } from "node:fs";
import { mkdir, rename, rm, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { promisify } from "node:util";
import { afterAll, beforeAll, expect, test } from "vitest";
import { TestComputer } from "../../packages/host/src/test-computer.ts";
import { describeWith } from "../support/requirements.ts";

const run = promisify(execFile);
/** Kept between runs: the packages are named with their versions. */
const CACHE = join(import.meta.dirname, "../../node_modules/.cache/raworc-frameworks");
const PYTHON_PACKAGES = ["langgraph==1.2.22", "autogen-agentchat==0.7.5"];
const NODE_PACKAGES = ["@langchain/core@1.4.0", "@langchain/langgraph@1.7.3", "ai@7.0.173"];

const LANGCHAIN = `
from langchain_core.language_models.fake_chat_models import GenericFakeChatModel
from langchain_core.messages import AIMessage
from langchain_core.output_parsers import StrOutputParser
from langchain_core.prompts import ChatPromptTemplate
from langchain_core.runnables import RunnableLambda
from langgraph.checkpoint.memory import InMemorySaver
from langgraph.graph import START, MessagesState, StateGraph

class Model(GenericFakeChatModel):
    """Says what it was told, a word at a time."""

    def _generate(self, messages, *args, **kwargs):
        self.messages = iter([AIMessage(content="told: " + " | ".join(m.content for m in messages))])
        return super()._generate(messages, *args, **kwargs)

model = Model(messages=iter([]))
chain = ChatPromptTemplate.from_messages([("system", "be kind"), ("user", "{question}")]) | model | StrOutputParser()
usage = RunnableLambda(lambda text: AIMessage(
    content="counted " + text, usage_metadata={"input_tokens": 3, "output_tokens": 4, "total_tokens": 7}))

def call(state: MessagesState):
    return {"messages": [model.invoke(state["messages"])]}

builder = StateGraph(MessagesState).add_node("call", call).add_edge(START, "call")
graph = builder.compile()
remembering = builder.compile(checkpointer=InMemorySaver())
failing = RunnableLambda(lambda text: 1 / 0)
`;

const AUTOGEN = `
from autogen_agentchat.agents import AssistantAgent
from autogen_agentchat.conditions import MaxMessageTermination
from autogen_agentchat.teams import RoundRobinGroupChat
from autogen_core.models import ChatCompletionClient, CreateResult, ModelFamily, RequestUsage

class Client(ChatCompletionClient):
    """Says what it was told."""

    model_info = {"vision": False, "function_calling": False, "json_output": False, "family": ModelFamily.UNKNOWN, "structured_output": False}
    capabilities = model_info

    async def create(self, messages, **kwargs):
        told = " | ".join(str(message.content) for message in messages if message.type != "SystemMessage")
        return CreateResult(content="told: " + told, finish_reason="stop", cached=False, usage=RequestUsage(prompt_tokens=5, completion_tokens=6))

    async def create_stream(self, messages, **kwargs):
        result = await self.create(messages)
        for word in result.content.split(" "):
            yield word + " "
        yield result

    async def close(self): pass
    def actual_usage(self): return RequestUsage(0, 0)
    def total_usage(self): return RequestUsage(0, 0)
    def count_tokens(self, messages, **kwargs): return 0
    def remaining_tokens(self, messages, **kwargs): return 1000

agent = AssistantAgent("helper", Client())
streaming = AssistantAgent("streamer", Client(), model_client_stream=True)
team = RoundRobinGroupChat([AssistantAgent("first", Client()), AssistantAgent("second", Client())], termination_condition=MaxMessageTermination(3))
`;

const LANGCHAIN_JS = `
import { AIMessage, AIMessageChunk } from "@langchain/core/messages";
import { ChatPromptTemplate } from "@langchain/core/prompts";
import { StringOutputParser } from "@langchain/core/output_parsers";
import { SimpleChatModel } from "@langchain/core/language_models/chat_models";
import { ChatGenerationChunk } from "@langchain/core/outputs";
import { MemorySaver, MessagesAnnotation, START, StateGraph } from "@langchain/langgraph";

class Model extends SimpleChatModel {
  _llmType() { return "told"; }
  async _call(messages) { return "told: " + messages.map((message) => message.content).join(" | "); }
  async *_streamResponseChunks(messages, options, manager) {
    for (const text of (await this._call(messages)).split(/(?<= )/)) {
      yield new ChatGenerationChunk({ text, message: new AIMessageChunk({ content: text }) });
      await manager?.handleLLMNewToken(text);
    }
  }
}
export const model = new Model({});
export const chain = ChatPromptTemplate.fromMessages([["system", "be kind"], ["user", "{question}"]]).pipe(model).pipe(new StringOutputParser());
const builder = new StateGraph(MessagesAnnotation)
  .addNode("call", async (state) => ({ messages: [await model.invoke(state.messages)] }))
  .addEdge(START, "call");
export const graph = builder.compile();
export const remembering = builder.compile({ checkpointer: new MemorySaver() });
`;

const AI_SDK = `
import { ToolLoopAgent, streamText, simulateReadableStream } from "ai";
import { MockLanguageModelV4 } from "ai/test";

const model = new MockLanguageModelV4({
  doStream: async ({ prompt }) => ({
    stream: simulateReadableStream({ chunks: [
      { type: "stream-start", warnings: [] },
      { type: "text-start", id: "1" },
      { type: "text-delta", id: "1", delta: "told: " },
      { type: "text-delta", id: "1", delta: prompt.filter(({ role }) => role !== "system").map(({ content }) => content[0].text).join(" | ") },
      { type: "text-end", id: "1" },
      { type: "finish", finishReason: { unified: "stop", raw: "stop" }, usage: {
        inputTokens: { total: 8, noCache: 8, cacheRead: 0, cacheWrite: 0 }, outputTokens: { total: 9, text: 9, reasoning: 0 } } },
    ] }),
  }),
});
export const agent = new ToolLoopAgent({ model, instructions: "be kind" });
export const text = (message) => streamText({ model, prompt: message });
`;

/** Installs once; a folder appears whole or not at all. */
async function installed(name: string, install: (folder: string) => Promise<unknown>): Promise<string> {
  const folder = join(CACHE, name.replaceAll(/[^a-z0-9.=@-]+/gi, "_"));
  if (existsSync(folder)) return folder;
  const draft = `${folder}.${process.pid}`;
  await rm(draft, { recursive: true, force: true });
  await mkdir(draft, { recursive: true });
  await install(draft);
  await rename(draft, folder).catch(() => undefined);
  return folder;
}

const HISTORY = [
  { role: "user", content: "before" },
  { role: "agent", content: "answered" },
  { role: "system", content: "not said by anybody" },
];

describeWith(["sandbox", "python"], "objects of the frameworks themselves", () => {
  let computer: TestComputer;
  beforeAll(async () => {
    const python = await installed(PYTHON_PACKAGES.join("+"), (folder) =>
      run("python3", ["-m", "pip", "install", "--quiet", "--retries", "5", "--target", folder, ...PYTHON_PACKAGES]),
    );
    const node = await installed(NODE_PACKAGES.join("+"), async (folder) => {
      await writeFile(join(folder, "package.json"), "{}");
      await run("npm", ["install", "--no-audit", "--no-fund", "--fetch-retries=5", ...NODE_PACKAGES], { cwd: folder });
    });
    const py = (code: string, handler: string) =>
      ({
        runtime: "python",
        handler: `main.${handler}`,
        files: { "main.py": code },
        env: { PYTHONPATH: "/opt/packages" },
      }) as const;
    const js = (code: string, handler: string) =>
      ({ runtime: "node", handler: `index.${handler}`, files: { "index.mjs": code } }) as const;
    const agents = {
      ...Object.fromEntries(
        ["model", "chain", "usage", "graph", "builder", "remembering", "failing"].map((name) => [
          `py-${name}`,
          py(LANGCHAIN, name),
        ]),
      ),
      ...Object.fromEntries(["agent", "streaming", "team"].map((name) => [`autogen-${name}`, py(AUTOGEN, name)])),
      ...Object.fromEntries(
        ["model", "chain", "graph", "remembering"].map((name) => [`js-${name}`, js(LANGCHAIN_JS, name)]),
      ),
      ...Object.fromEntries(["agent", "text"].map((name) => [`ai-${name}`, js(AI_SDK, name)])),
    };
    const mounts = { "/opt/packages": python, "/opt/raworc/node_modules": join(node, "node_modules") };
    computer = await TestComputer.start(agents, { mounts });
  }, 600_000);
  afterAll(() => computer?.close());

  test.each([
    ["py-model", "told: before | answered | now"],
    ["py-chain", "told: be kind | now"],
    ["py-graph", "told: before | answered | now"],
    ["py-builder", "told: before | answered | now"],
    ["js-model", "told: before | answered | now"],
    ["js-chain", "told: be kind | now"],
    ["js-graph", "told: before | answered | now"],
    ["ai-agent", "told: before | answered | now"],
    ["ai-text", "told: now"],
    ["autogen-streaming", "told: before | answered | now "],
  ])("%s streams what its model says", async (agent, content) => {
    const { end, lines } = await computer.send(agent, "now", { history: HISTORY });
    expect(end.error).toBeUndefined();
    expect(end.content).toBe(content);
    expect(lines.some(({ type }) => type === "delta")).toBe(true);
  });

  test.each(["py-remembering", "js-remembering"])(
    "%s is told what is new: its thread is the session",
    async (agent) => {
      await computer.send(agent, "first");
      const { end } = await computer.send(agent, "now", { history: HISTORY });
      expect(end.content).toBe("told: first | told: first | now");
    },
  );

  test("an agent of AutoGen answers for itself, a team by its last word; both count tokens", async () => {
    const { end } = await computer.send("autogen-agent", "now", { history: HISTORY });
    expect(end).toMatchObject({ content: "told: before | answered | now", tokens: { input: 5, output: 6 } });
    const team = (await computer.send("autogen-team", "now")).end;
    expect(team).toMatchObject({ content: "told: now | told: now", tokens: { input: 10, output: 12 } });
  });

  test("tokens that a framework reports are passed on, and its errors are failures", async () => {
    expect((await computer.send("py-usage", "now")).end).toMatchObject({
      content: "counted now",
      tokens: { input: 3, output: 4 },
    });
    expect((await computer.send("ai-agent", "now")).end.tokens).toEqual({ input: 8, output: 9 });
    expect((await computer.send("py-failing", "now")).end.error).toEqual({
      code: "handler_failed",
      message: "ZeroDivisionError: division by zero",
    });
  });
});

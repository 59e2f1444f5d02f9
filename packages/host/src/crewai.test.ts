import { expect, test } from "vitest";
import { describeWith } from "../../../test/support/requirements.ts";
import { TestComputer } from "./test-computer.ts";

/** CrewAI's own packages are too many for each run; these have the shape of its crews and flows, tried against the real ones. */
const SHAPES = `
class Usage:
    prompt_tokens = 1
    completion_tokens = 2

class Output:
    token_usage = Usage()
    def __init__(self, raw):
        self.raw = raw

class Crew:
    def __init__(self):
        self.description = "about {topic}"
    def fetch_inputs(self):
        return {"topic"} if "{" in self.description else set()
    async def kickoff_async(self, inputs=None):
        self.description = "about " + inputs["topic"]
        return Output(self.description)

class Flow:
    def __init__(self):
        self.runs = 0
    async def kickoff_async(self, inputs=None):
        self.runs += 1
        return {"said": inputs["message"], "runs": self.runs}

crew = Crew()
`;

describeWith(["sandbox", "python"], "crews and flows", () => {
  test("get the message for what they ask, each time anew", async () => {
    const agent = (handler: string) =>
      ({ runtime: "python", handler: `main.${handler}`, files: { "main.py": SHAPES } }) as const;
    const computer = await TestComputer.start({ crew: agent("crew"), flow: agent("Flow") });
    try {
      for (const topic of ["cats", "dogs"]) {
        const { end } = await computer.send("crew", topic);
        expect(end).toMatchObject({ content: `about ${topic}`, tokens: { input: 1, output: 2 } });
        expect(JSON.parse((await computer.send("flow", topic)).end.content)).toEqual({ said: topic, runs: 1 });
      }
    } finally {
      await computer.close();
    }
  });
});

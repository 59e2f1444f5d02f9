import { execFileSync } from "node:child_process";
import { symlinkSync } from "node:fs";
import { join } from "node:path";
import { afterAll, beforeAll, describe, expect, it } from "vitest";
import { createSandboxDriver } from "../../packages/server/src/runtime/sandbox/sandbox-driver.ts";
import type { StoredBuild } from "../../packages/server/src/store/builds.ts";
import { BuildsFixture } from "../support/builds-fixture.ts";
import { GitServer } from "../support/git-server.ts";
import { Repository } from "../support/repository.ts";
import { describeWith } from "../support/requirements.ts";
import { SAMPLE_AGENTS, SAMPLE_QUESTIONS, SAMPLE_REPLIES } from "../support/sample-agents.ts";

const json = JSON.stringify;
const PYTHON = "def process_message(message, context):\n    return message\n";

/** An agent whose build takes no time. */
const PLAIN = { "raworc.json": json({ runtime: "node" }), "index.js": "export const processMessage = String;\n" };

/** Agents that can't be built, by folder, with what the build says about them. */
const BROKEN: Readonly<Record<string, { readonly files: Record<string, string>; readonly says: readonly RegExp[] }>> = {
  manifest: { files: { "raworc.json": '{"runtime": "python",}' }, says: [/raworc\.json is not valid JSON at line 1/] },
  runtime: { files: { "raworc.json": json({ runtime: "ruby" }) }, says: [/"ruby"/, /python.*node.*rust/] },
  nothing: { files: { "README.md": "hello" }, says: [/requirements\.txt.*package\.json.*Cargo\.toml/] },
  command: {
    files: {
      "index.js": "export const processMessage = String;\n",
      "raworc.json": json({ runtime: "node", build_command: "echo first; echo why it fails >&2; exit 7" }),
    },
    says: [/build_command \(echo first/, /exit code 7/, /\nfirst\n/, /why it fails/],
  },
  interpreter: {
    files: { "main.py": PYTHON, "raworc.json": json({ runtime: "python3.99" }) },
    says: [/no python3\.99/, /There is python3\.\d+/],
  },
  packages: {
    files: { "main.py": PYTHON, "raworc.json": json({ system_packages: ["coreutils", "raworc-nonsense"] }) },
    says: [/not there: raworc-nonsense\./, /session image/],
  },
  handler: {
    files: { "app.py": PYTHON },
    says: [/"main\.process_message" is not there/, /main\.py/, /There is app\.py/, /"handler"/],
  },
  member: { files: { "main.py": PYTHON.replace("message(", "messages(") }, says: [/Did you mean process_messages/] },
  syntax: {
    files: { "main.py": "def process_message(:\n" },
    says: [/main\.py has an error in its syntax/, /SyntaxError/],
  },
  unbuilt: {
    files: { "package.json": json({ scripts: { build: "tsc" } }), "raworc.json": json({ handler: "dist/index.run" }) },
    says: [/no dist\/index\.js/, /"build_command" to "npm run build"/],
  },
  lock: {
    files: { "package.json": "{", "index.js": "" },
    says: [/package\.json is not valid JSON/],
  },
};

describeWith(["sandbox", "python", "cargo"], "builds in sandboxes", () => {
  const server = new GitServer();
  let fixture: BuildsFixture;
  const repositories: Repository[] = [];

  const repository = (files: Readonly<Record<string, string>>): Repository => {
    const made = new Repository(files);
    repositories.push(made);
    return made;
  };
  const buildOne = async (path: string, more: { folder?: string; branch?: string } = {}): Promise<StoredBuild> =>
    fixture.build(await fixture.space({ one: { repository: path, ...more } }));
  const fault = async (path: string, more: { folder?: string; branch?: string } = {}): Promise<string> => {
    const build = await buildOne(path, more);
    expect(build.status).toBe("failed");
    const [agent] = build.agents;
    expect(agent).toMatchObject({ name: "one", status: "failed" });
    expect(build.error).toBe(`one: ${agent?.error}`);
    return build.error ?? "";
  };
  const builders = async () => (await fixture.driver.list()).map(({ id }) => id);

  beforeAll(async () => {
    await server.listen();
    fixture = await BuildsFixture.open({
      makeDriver: createSandboxDriver,
      certificates: server.certificates,
      mirrorHosts: [server.host],
    });
  });

  afterAll(async () => {
    for (const made of repositories) made.remove();
    await server.close();
    await fixture?.close();
  });

  it("builds again on demand, under another key, and keeps to that from then on", async () => {
    const space = await fixture.space({ one: { repository: repository(PLAIN).path } });
    const [first, forced, after] = [
      await fixture.build(space),
      await fixture.build(space, { force: true }),
      await fixture.build(space),
    ];
    const keyOf = (build: StoredBuild) => build.agents[0]?.artifact_key;
    expect(forced.agents).toMatchObject([{ cached: false, status: "completed" }]);
    expect(keyOf(forced)).not.toBe(keyOf(first));
    expect(after.agents).toMatchObject([{ cached: true, artifact_key: keyOf(forced) }]);
    expect(await fixture.driver.hasArtifact(keyOf(first) ?? "")).toBe(true);
  });

  it("builds an agent of each kind, which sessions then run, and no agent twice", async () => {
    const { path } = repository(SAMPLE_AGENTS);
    const names = Object.keys(SAMPLE_QUESTIONS);
    const space = await fixture.space(
      Object.fromEntries(names.map((name) => [name, { repository: path, folder: name }])),
    );
    const first = await fixture.build(space);
    expect(first.error).toBeNull();
    expect(first.agents.map(({ runtime, cached }) => [runtime, cached])).toEqual([
      ["rust", false],
      ["rust", false],
      ["node", false],
      ["python", false],
    ]);
    expect(await fixture.ask(first, SAMPLE_QUESTIONS)).toEqual(SAMPLE_REPLIES);

    const second = await fixture.build(space);
    expect(second.agents.every(({ cached }) => cached)).toBe(true);
    expect(second.agents.map((agent) => agent.artifact_key)).toEqual(first.agents.map((agent) => agent.artifact_key));
    expect(await builders()).toEqual([]);
  });

  it("follows a new commit, and finds branches, tags and hashes", async () => {
    const source = repository(PLAIN);
    const git = (...words: string[]) => execFileSync("git", ["-C", source.path, ...words], { encoding: "utf8" }).trim();
    const one = git("rev-parse", "HEAD");
    git("-c", "user.name=t", "-c", "user.email=t@localhost", "tag", "--annotate", "--message", "a tag", "v1");
    const space = await fixture.space({ one: { repository: source.path } });
    expect((await fixture.build(space)).agents).toMatchObject([{ commit: one }]);
    const two = source.commit({ "README.md": "changed" });
    expect((await fixture.build(space)).agents).toMatchObject([{ commit: two, cached: false }]);
    expect((await buildOne(source.path, { branch: "v1" })).agents).toMatchObject([{ commit: one }]);
    expect((await buildOne(`file://${source.path}`, { branch: one })).agents).toMatchObject([{ commit: one }]);
    expect(await fault(source.path, { branch: "man" })).toMatch(/no branch or tag "man".*Did you mean main/);
    expect(await fault(source.path, { branch: "f".repeat(40) })).toMatch(/commit is not in/);
  });

  it("fetches over https, asking once for the agents of one repository", async () => {
    const part = repository({ "part.py": "NAME = 'submodule'\n" });
    const whole = repository({
      "one/main.py": "import part.part\n\ndef process_message(message, context):\n    return part.part.NAME\n",
      "two/main.py": PYTHON,
    });
    server.serve("team/part", part.path);
    const address = server.serve("team/whole", whole.path);
    const git = (...words: string[]) => execFileSync("git", ["-C", whole.path, ...words]);
    git("-c", "protocol.file.allow=always", "submodule", "--quiet", "add", part.path, "one/part");
    git("submodule", "--quiet", "set-url", "one/part", "../part");
    whole.commit({ "README.md": "with a submodule" });

    const agents = { one: { repository: address, folder: "one" }, two: { repository: address, folder: "two" } };
    const space = await fixture.space(agents);
    const build = await fixture.build(space);
    expect(build.error).toBeNull();
    expect(await fixture.ask(build, { one: "?", two: "same" })).toEqual({ one: "submodule", two: "same" });

    server.requests.length = 0;
    expect((await fixture.build(space)).agents.map(({ cached }) => cached)).toEqual([true, true]);
    expect(server.requests.filter((path) => path.endsWith("/info/refs"))).toHaveLength(1);
    expect(await builders()).toEqual([]);
  });

  it("says that a repository is private, absent or elsewhere", async () => {
    expect(await fault(server.serve("private/agent", "/nowhere"))).toMatch(/asks for a login/);
    expect(await fault(server.serve("x", "/nowhere").replace(/x$/, "absent"))).toMatch(
      /asks for a login|no git repository/,
    );
    expect(await fault("/raworc/nowhere")).toMatch(/no folder \/raworc\/nowhere/);
    expect(await fault("https://agent.invalid/agent")).toMatch(/could not be reached: its host is not found/);
    expect(await fault("https://127.0.0.3/agent")).toMatch(/may not connect to .*private/);
  });

  describe("of agents that can't be built", () => {
    let broken: Repository;
    beforeAll(() => {
      const files = Object.entries(BROKEN).map(([folder, { files: inside }]) =>
        Object.entries(inside).map(([name, content]) => [`${folder}/${name}`, content] as const),
      );
      broken = repository(Object.fromEntries(files.flat()));
      symlinkSync("/etc", join(broken.path, "outside"));
      symlinkSync("../command", join(broken.path, "manifest", "inside"));
      broken.commit({ "linked/main.py": PYTHON });
      symlinkSync("/etc/passwd", join(broken.path, "linked", "raworc.json"));
      broken.commit({ "linked/requirements.txt": "" });
    });

    it.each(Object.keys(BROKEN))("%s", async (folder) => {
      const error = await fault(broken.path, { folder });
      for (const pattern of BROKEN[folder]?.says ?? []) expect(error).toMatch(pattern);
    });

    it("leads nobody out of the repository", async () => {
      expect(await fault(broken.path, { folder: "outside" })).toMatch(/no folder "outside"/);
      expect(await fault(broken.path, { folder: "linked" })).toMatch(/raworc\.json must be a plain file/);
      expect(await fault(broken.path, { folder: "absent" })).toMatch(/no folder "absent".*There are agents in command/);
    });
  });

  it("ends a build in the middle, and leaves nothing of it", async () => {
    const slow = repository({ "raworc.json": json({ runtime: "node", build_command: "echo begun; sleep 600" }) });
    const space = await fixture.space({ one: { repository: slow.path } });
    const build = await fixture.start(space);
    await fixture.logged(build.id, "begun");
    expect(await builders()).toHaveLength(1);
    await fixture.cancel(build);
    const ended = await fixture.end(build.id);
    expect(ended).toMatchObject({ status: "cancelled", agents: [{ name: "one", status: "cancelled", error: null }] });
    expect(await builders()).toEqual([]);
  });

  it("runs a build again that its server left, and removes that server's builders", async () => {
    const source = repository({ "raworc.json": json({ runtime: "node", build_command: "echo begun; sleep 600" }) });
    const space = await fixture.space({ one: { repository: source.path } });
    const build = await fixture.start(space);
    await fixture.logged(build.id, "begun");
    source.commit(PLAIN);
    await fixture.leaveBuilder();
    await fixture.restart();
    expect(await fixture.end(build.id)).toMatchObject({ id: build.id, status: "completed" });
    expect(await builders()).toEqual([]);
  });

  it("keeps an agent's failure from wasting the others' time", async () => {
    const { path } = repository({
      "slow/raworc.json": json({ runtime: "node", build_command: "sleep 600" }),
      "wrong/raworc.json": "[]",
    });
    const agents = { slow: { repository: path, folder: "slow" }, wrong: { repository: path, folder: "wrong" } };
    const build = await fixture.build(await fixture.space(agents));
    expect(build.agents).toMatchObject([{ status: "cancelled" }, { status: "failed" }]);
    expect(build.error).toMatch(/^wrong: raworc\.json is not right: it is a list of 0/);
    expect(await builders()).toEqual([]);
  });
});

import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { mkdir, mkdtemp, readFile, rename, rm, stat, writeFile } from "node:fs/promises";
import { createServer } from "node:net";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { DatabaseSync } from "node:sqlite";
import { stripVTControlCharacters } from "node:util";
import { type IPty, spawn as spawnTerminal } from "@lydell/node-pty";
import { createClient } from "@raworc/client";
import type { Build, Health, Session } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { describeWith } from "../support/requirements.ts";

const RAWORC = new URL("../../packages/cli/bin/raworc.js", import.meta.url).pathname;
const SYSTEM_NODE = "/usr/bin/node";

/** Answers piece by piece, without end, with a failure, or with all that a terminal must not obey. */
const AGENT = `
import { setTimeout as wait } from "node:timers/promises";
export async function* processMessage(message) {
  if (message === "fail") throw new Error("I was told to fail");
  if (message === "hostile") {
    yield "\\x1b]0;owned\\x07safe\\x1b[2";
    yield "J text";
    return;
  }
  if (message === "slow") {
    yield "it goes on";
    for (;;) await wait(1000);
  }
  yield "You said: ";
  yield message;
}
`;

interface Ended {
  readonly code: number | null;
  readonly out: string;
  readonly err: string;
}

interface SavedLogins {
  readonly current: string;
  readonly logins: Readonly<Record<string, { readonly token: string }>>;
}

interface RunOptions {
  readonly input?: string;
  readonly environment?: Readonly<Record<string, string>>;
  readonly node?: string;
}

describeWith(["sandbox"], "the command line with a real server", () => {
  let folder = "";
  let home = "";
  let repository = "";

  const environment = (more: Readonly<Record<string, string>> = {}): Record<string, string> => ({
    PATH: process.env["PATH"] ?? "/usr/bin:/bin",
    HOME: process.env["HOME"] ?? "/root",
    TERM: "xterm-256color",
    RAWORC_HOME: home,
    RAWORC_ALLOW_LOCAL_SOURCES: "true",
    ...more,
  });

  async function raworc(words: readonly string[], options: RunOptions = {}): Promise<Ended> {
    const env = environment(options.environment);
    const child = spawn(options.node ?? process.execPath, [RAWORC, ...words], { env, stdio: "pipe" });
    const chunks: Record<"out" | "err", Buffer[]> = { out: [], err: [] };
    child.stdout.on("data", (chunk: Buffer) => chunks.out.push(chunk));
    child.stderr.on("data", (chunk: Buffer) => chunks.err.push(chunk));
    child.stdin.on("error", () => undefined);
    child.stdin.end(options.input ?? "");
    const [code] = (await once(child, "close")) as [number | null];
    return { code, out: Buffer.concat(chunks.out).toString(), err: Buffer.concat(chunks.err).toString() };
  }

  async function json<T>(words: readonly string[]): Promise<T> {
    const { code, err, out } = await raworc(words);
    expect(code, err).toBe(0);
    return JSON.parse(out) as T;
  }

  /** What the server itself says, past the command line. */
  async function sessions(): Promise<Session[]> {
    const { current, logins } = JSON.parse(await readFile(join(home, "auth.json"), "utf8")) as SavedLogins;
    return createClient({ server: current, token: logins[current]?.token }).call("sessions.list");
  }

  beforeAll(async () => {
    folder = await mkdtemp(join(tmpdir(), "raworc-e-"));
    home = join(folder, "h");
    repository = join(folder, "talker");
    const git = (...words: string[]) => execFileSync("git", ["-C", repository, ...words]);
    execFileSync("git", ["init", "-q", repository]);
    await writeFile(join(repository, "package.json"), '{"name": "talker", "version": "1.0.0", "type": "module"}\n');
    await writeFile(join(repository, "index.js"), AGENT);
    git("add", ".");
    git("-c", "user.name=t", "-c", "user.email=t@localhost", "commit", "-qm", "An agent");
  });

  afterAll(async () => {
    const ended = await raworc(["reset", "--yes"]);
    await rm(folder, { recursive: true, force: true });
    expect(ended.code, ended.err).toBe(0);
  });

  test("start refuses a wrong configuration and a port that is taken, and says what to do", async () => {
    const wrong = await raworc(["start"], { environment: { RAWORC_RUNTIME: "magic", RAWORC_PORT: "none" } });
    expect(wrong.code).toBe(1);
    expect(wrong.err).toContain("RAWORC_RUNTIME");
    expect(wrong.err).toContain("RAWORC_PORT");
    const other = createServer().listen(0, "127.0.0.1");
    await once(other, "listening");
    const { port } = other.address() as { port: number };
    const taken = await raworc(["start", "--port", String(port), "--runtime", "sandbox"]);
    other.close();
    expect(taken.code).toBe(1);
    expect(taken.err).toMatch(/port.*in use/i);
    expect((await raworc(["status"])).code).toBe(1);
  });

  test("start waits until the server is well, logs in, and is no second one when called again", async () => {
    const started = await raworc(["start", "--port", "0", "--runtime", "sandbox"]);
    expect(started.code, started.err).toBe(0);
    expect(started.out).toMatch(/runs at http:\/\/127\.0\.0\.1:\d+ \(pid \d+/);
    expect(started.out).toContain("Runtime: sandbox");
    expect(started.out).toContain("Logged in as admin");
    for (const name of ["auth.json", "server.json", "logs/server.log"]) {
      expect((await stat(join(home, name))).mode & 0o777, name).toBe(0o600);
    }
    const status = await json<{ pid: number; user: string; health: Health }>(["status", "-o", "json"]);
    expect(status).toMatchObject({ user: "admin", runtime: "sandbox", health: { status: "ok" } });
    expect(await raworc(["start"])).toMatchObject({ code: 0, out: expect.stringContaining("already running") });
    expect(await json(["status", "-o", "json"])).toMatchObject({ pid: status.pid });
  });

  test.skipIf(!existsSync(SYSTEM_NODE))("an old Node hands over to the project's own", async () => {
    expect(await raworc(["--version"], { node: SYSTEM_NODE })).toMatchObject({ code: 0, err: "" });
    expect(await raworc(["sesion"], { node: SYSTEM_NODE })).toMatchObject({ code: 2, out: "" });
  });

  test("api writes the body alone to stdout, and its exit code tells of success", async () => {
    const health = await raworc(["api", "health"]);
    expect(health).toMatchObject({ code: 0, err: "" });
    expect(JSON.parse(health.out)).toMatchObject({ status: "ok" });
    const missing = await raworc(["api", "/api/v0/spaces/nowhere", "--status", "--pretty"]);
    expect(missing.code).toBe(1);
    expect(JSON.parse(missing.out)).toMatchObject({ code: "not_found", status: 404 });
    expect(missing.out.split("\n").length).toBeGreaterThan(4);
    expect(missing.err).toContain("HTTP 404");
    expect(missing.err).toContain("admin");
    const { url } = JSON.parse(await readFile(join(home, "server.json"), "utf8")) as { url: string };
    const elsewhere = { RAWORC_HOME: join(folder, "elsewhere"), RAWORC_SERVER: url };
    const login = ["api", "auth/login", "--body", '{"user":"admin","pass":"admin"}'];
    const token = await raworc(login, { environment: elsewhere });
    expect(JSON.parse(token.out)).toMatchObject({ user: "admin", token_type: "Bearer" });
    expect(await raworc(["get", "spaces"], { environment: elsewhere })).toMatchObject({ code: 4, out: "" });
  });

  test("an agent is registered and built, with the log on stdout", async () => {
    const created = await raworc(["create", "agent", "talker", "--source-repo", repository]);
    expect(created).toMatchObject({ code: 0, out: "agent/talker created\n" });
    expect(created.err).toContain("raworc logs build");
    const built = await raworc(["build", "--space", "default", "--wait"]);
    expect(built.code, built.err).toBe(0);
    expect(built.out).toContain("talker");
    expect(built.err).toMatch(/talker +node +[0-9a-f]{8} +(completed|unchanged)/);
    const [build] = await json<Build[]>(["get", "builds", "-o", "json"]);
    expect(build).toMatchObject({ status: "completed", agents_deployed: ["talker"] });
    const log = await raworc(["logs", "build", build?.build_id ?? "", "--follow"]);
    expect(log).toMatchObject({ code: 0, out: built.out });
    expect((await raworc(["get", "agents"])).out).toMatch(/^NAME +STATUS .*\ntalker +running +node/);
    expect((await raworc(["get", "agents", "-o", "name"])).out).toBe("agent/talker\n");
    expect((await raworc(["describe", "agent/talker"])).out).toContain(repository);
  });

  test("a build that fails is exit code 1 and names the agent", async () => {
    const space = await raworc(["create", "space", "broken", "--settings", '{"auto_build":false}']);
    expect(space.code, space.err).toBe(0);
    await raworc(["agent", "create", "ghost", "-s", "broken", "--source-repo", join(folder, "nowhere")]);
    const built = await raworc(["build", "-s", "broken", "--wait"]);
    expect(built.code).toBe(1);
    expect(built.err).toMatch(/ghost .*failed/);
    expect(built.err).toContain("error: The build failed");
    expect(await raworc(["delete", "space", "broken"])).toMatchObject({ code: 0, out: "space/broken deleted\n" });
    expect(await raworc(["get", "space", "broken"])).toMatchObject({ code: 1, out: "" });
  });

  test("lines of stdin are messages, replies go to stdout, a failure is exit code 1", async () => {
    const fine = await raworc(["session"], { input: "one\n\n@talker two" });
    expect(fine).toMatchObject({ code: 0, out: "You said: one\nYou said: two\n", err: "" });
    const mixed = await raworc(["session", "--agent", "talker"], { input: "fail\r\nthree\n/quit\nnever\n" });
    expect(mixed).toMatchObject({ code: 1, out: "You said: three\n" });
    expect(mixed.err).toContain("I was told to fail");
    expect(await sessions()).toEqual([]);
  });

  test("a session that is kept can be taken up again", async () => {
    const kept = await raworc(["session", "--keep", "--name", "notes"], { input: "one\n" });
    expect(kept.code, kept.err).toBe(0);
    const [session] = await sessions();
    expect(session).toMatchObject({ name: "notes", state: "idle" });
    const id = session?.id ?? "";
    expect(kept.err).toContain(`raworc session --resume ${id}`);
    const resumed = await raworc(["session", "--resume", id, "--keep"], { input: "two\n" });
    expect(resumed.out).toBe("You said: two\n");
    const messages = await raworc(["get", "messages", "--session", id]);
    expect(messages.out).toMatch(/user +done +two\s/);
    expect(await raworc(["delete", "session", id])).toMatchObject({ code: 0, out: `session/${id} deleted\n` });
    expect(await raworc(["session", "--resume", id], { input: "three\n" })).toMatchObject({ code: 1, out: "" });
  });

  test("a command runs in a session's computer, with its streams and its exit code", async () => {
    const { id } = await json<Session>(["create", "session", "--wait", "ready", "-o", "json"]);
    const shell = await raworc(["exec", id, "echo out; echo err >&2; exit 7"]);
    expect(shell).toEqual({ code: 7, out: "out\n", err: "err\n" });
    const program = await raworc(["exec", "--stdin", id, "cat", "-A"], { input: "a\tb\0" });
    expect(program).toEqual({ code: 0, out: "a^Ib^@", err: "" });
    expect(await raworc(["exec", "-t", id])).toMatchObject({ code: 2 });
    expect((await raworc(["logs", "session", id])).out).toMatch(/^\[host\] .*host ready/m);
    expect(await raworc(["delete", "session", id])).toMatchObject({ code: 0 });
  });

  test("files and folders are copied to a session and back", async () => {
    const { id } = await json<Session>(["create", "session", "--wait", "ready", "-o", "json"]);
    const local = join(folder, "tree");
    await mkdir(join(local, "deep"), { recursive: true });
    await writeFile(join(local, "a b.txt"), "first");
    await writeFile(join(local, "deep", "ü"), Buffer.alloc(100_000, 7));
    expect(await raworc(["cp", local, `${id}:workspace`])).toEqual({ code: 0, out: "", err: "2 files copied.\n" });
    expect((await raworc(["exec", id, "cat 'tree/a b.txt'; wc -c < tree/deep/ü"])).out).toBe("first100000\n");
    expect(await raworc(["exec", id, "ln -s /etc/passwd tree/link"])).toMatchObject({ code: 0 });
    const back = await raworc(["cp", `${id}:workspace/tree`, `${join(folder, "back")}/`]);
    expect(back).toMatchObject({ code: 0, err: "Left out, it is no file: workspace/tree/link\n2 files copied.\n" });
    expect(await readFile(join(folder, "back", "tree", "deep", "ü"))).toEqual(Buffer.alloc(100_000, 7));
    expect(await raworc(["cp", "-", `${id}:workspace/in`], { input: "piped" })).toMatchObject({ code: 0 });
    expect(await raworc(["cp", `${id}:workspace/in`, "-"])).toEqual({ code: 0, out: "piped", err: "" });
    expect(await raworc(["cp", `${id}:workspace/nothing`, folder])).toMatchObject({ code: 1 });
    expect(await raworc(["cp", "a", "b"])).toMatchObject({ code: 2 });
    expect(await raworc(["delete", "session", id])).toMatchObject({ code: 0 });
  });

  test("a person looks on a session's terminal, and comes again", async () => {
    const { id } = await json<Session>(["create", "session", "--wait", "ready", "-o", "json"]);
    {
      await using first = new Terminal(["exec", "-it", id], environment());
      first.type("stty size; kept=yes\n");
      await first.until("30 100");
    }
    await using second = new Terminal(["exec", "-it", id], environment());
    await second.until("30 100");
    second.type("echo still=$kept; exit 5\n");
    await second.until("still=yes");
    expect(await second.ended).toBe(5);
    await using third = new Terminal(["exec", "-it", id, "echo", "it's", "a  word"], environment());
    await third.until(/^it's a {2}word$/m);
    expect(await third.ended).toBe(0);
    expect(await raworc(["delete", "session", id])).toMatchObject({ code: 0 });
  });

  test("resources come from files and stdin, and secrets are shown only when they are asked for", async () => {
    const file =
      "kind: space\nname: team\ndescription: One\n---\nkind: secret\nspace: team\nkey_name: KEY\nvalue: canary\n";
    const applied = await raworc(["apply", "-f", "-"], { input: file });
    expect(applied).toMatchObject({ code: 0, out: "space/team created\nsecret/KEY created\n" });
    const again = await raworc(["apply", "-f", "-"], { input: file.replace("One", "Two") });
    expect(again.out).toContain("space/team changed\n");
    expect((await raworc(["describe", "space", "team"])).out).toMatch(/description +Two/);
    const hidden = await raworc(["secret", "list", "-s", "team", "-o", "yaml"]);
    expect(hidden.out).toContain("key_name: KEY");
    expect(hidden.out).not.toContain("canary");
    const shown = await raworc(["get", "secret", "KEY", "-s", "team", "--show-values"]);
    expect(shown.out).toContain("canary");
    const token = await raworc(["create", "token", "ci", "--role", "viewer"]);
    const limited = { RAWORC_TOKEN: token.out.trim() };
    expect(await raworc(["get", "spaces", "-o", "name"], { environment: limited })).toMatchObject({ code: 0 });
    const refused = await raworc(["delete", "space", "team"], { environment: limited });
    expect(refused).toMatchObject({ code: 1, out: "" });
    expect(await raworc(["delete", "space", "team"])).toMatchObject({ code: 0 });
  });

  test("a person talks on a terminal: prompt, spinner, streamed text that the terminal never obeys", async () => {
    await using terminal = new Terminal(["session"], environment());
    await terminal.until(/Session [0-9a-f-]{36} in the space default/);
    await terminal.until("Agents: talker");
    await terminal.until("You: ");
    terminal.type("hello\r");
    await terminal.until("Waiting for agent response...");
    await terminal.until(/Agent: You said: hello\s+talker · /);
    await terminal.until("You: ");
    terminal.type("hostile\r");
    await terminal.until("Agent: safe text");
    expect(terminal.raw).not.toContain("owned");
    expect(terminal.raw).not.toContain("\x1b[2J");
    await terminal.until("You: ");
    terminal.type("fail\r");
    await terminal.until(/Failed: .*I was told to fail/);
    await terminal.until("You: ");
    terminal.type("/status\r");
    await terminal.until(/State +idle/);
    await terminal.until("You: ");
    terminal.type("/nonsense\r");
    await terminal.until("There is no command /nonsense");
    await terminal.until("You: ");
    terminal.type("/q\r");
    await terminal.until("The session is deleted.");
    expect(await terminal.ended).toBe(0);
    expect(await sessions()).toEqual([]);
  });

  test("Ctrl-C cancels the message that runs, what was typed meanwhile comes next, twice ends", async () => {
    await using terminal = new Terminal(["session", "--agent", "talker"], environment());
    await terminal.until("You: ");
    terminal.type("slow\r");
    await terminal.until("Agent: it goes on");
    terminal.type("typed ahead\r");
    terminal.type("\x03");
    await terminal.until("Cancelled");
    await terminal.until("You: typed ahead");
    await terminal.until("Agent: You said: typed ahead");
    await terminal.until("You: ");
    terminal.type("slow\r");
    await terminal.until("Agent: it goes on");
    terminal.type("\x03\x03");
    await terminal.until("The session is deleted.");
    expect(await terminal.ended).toBe(0);
    expect(await sessions()).toEqual([]);
  });

  test("the end of input, and a terminal that goes away, leave no session behind", async () => {
    await using terminal = new Terminal(["session"], environment());
    await terminal.until("You: ");
    expect(await sessions()).toHaveLength(1);
    terminal.type("\x04");
    expect(await terminal.ended).toBe(0);
    expect(await sessions()).toEqual([]);
    await using other = new Terminal(["session"], environment());
    await other.until("You: ");
    other.kill("SIGHUP");
    await other.ended;
    expect(await sessions()).toEqual([]);
  });

  test("cleanup asks a person, and deletes all sessions", async () => {
    await raworc(["create", "session"]);
    await raworc(["create", "session"]);
    expect(await raworc(["cleanup"])).toMatchObject({ code: 2, err: expect.stringContaining("--yes") });
    await using terminal = new Terminal(["cleanup"], environment());
    await terminal.until("Delete 2 sessions");
    terminal.type("y");
    await terminal.until("2 sessions deleted");
    expect(await terminal.ended).toBe(0);
    expect(await sessions()).toEqual([]);
  });

  test("a login is checked before it is saved, and revoked when it ends", async () => {
    const before = await readFile(join(home, "auth.json"), "utf8");
    const login = ["auth", "login", "--user", "admin", "--pass", "-"];
    expect(await raworc(login, { input: "guess\n" })).toMatchObject({ code: 1, out: "" });
    expect(await raworc(["auth", "login", "--token", "x.y.z"])).toMatchObject({ code: 1, out: "" });
    expect(await readFile(join(home, "auth.json"), "utf8")).toBe(before);
    const { current, logins } = JSON.parse(before) as SavedLogins;
    const token = logins[current]?.token ?? "";
    expect(await raworc(["auth", "logout"])).toMatchObject({ code: 0 });
    expect(await raworc(["auth"])).toMatchObject({ code: 4, err: expect.stringContaining("raworc auth login") });
    const revoked = await raworc(["get", "spaces"], { environment: { RAWORC_TOKEN: token } });
    expect(revoked).toMatchObject({ code: 4, out: "" });
    expect(await raworc(login, { input: "admin\n" })).toMatchObject({ code: 0 });
    expect((await raworc(["auth"])).out).toMatch(/User +admin\nRoles +admin/);
  });

  test("the key is rotated and the audit verified beside the server that runs", async () => {
    expect(await raworc(["audit", "verify"])).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^\d+ audit events, all/),
    });
    const rotated = await raworc(["admin", "rotate-key"]);
    expect(rotated).toMatchObject({ code: 0, err: "", out: expect.stringContaining("sealed with the new key") });
    expect((await raworc(["create", "secret", "AFTERWARDS", "--value", "-"], { input: "v" })).code).toBe(0);
    expect((await raworc(["get", "secrets", "--show-values"])).out).toMatch(/AFTERWARDS +v/);
    const doctor = await raworc(["doctor"]);
    expect(doctor, doctor.out).toMatchObject({ code: 0 });
    expect(doctor.out).toMatch(/✓ Database .*raworc\.db can be read\n✓ Keys +the encryption key [0-9a-f]{16} is here/);
    const elsewhere = { RAWORC_HOME: join(folder, "elsewhere") };
    const nothing = await raworc(["audit", "verify"], { environment: elsewhere });
    expect(nothing).toMatchObject({ code: 1, out: expect.stringContaining("raworc start") });
    expect(existsSync(join(folder, "elsewhere", "data"))).toBe(false);
  });

  test("a server that was killed is not running; restart brings it back at its address, with its sessions", async () => {
    const created = await raworc(["create", "session", "--wait", "ready", "-o", "json"]);
    const { id } = JSON.parse(created.out) as Session;
    const before = await json<{ server: string; pid: number }>(["status", "-o", "json"]);
    process.kill(before.pid, "SIGKILL");
    expect(await raworc(["status"])).toMatchObject({ code: 1, out: expect.stringContaining("not running") });
    expect(await raworc(["get", "agents"])).toMatchObject({ code: 1, err: expect.stringContaining("raworc start") });
    const restarted = await raworc(["restart"]);
    expect(restarted.code, restarted.err).toBe(0);
    expect(await json(["status", "-o", "json"])).toMatchObject({ server: before.server, user: "admin" });
    const talked = await raworc(["session", "--resume", id], { input: "again\n" });
    expect(talked).toMatchObject({ code: 0, out: "You said: again\n" });
  });

  test("stop stops it, once", async () => {
    expect(await raworc(["stop", "--cleanup"])).toMatchObject({
      code: 0,
      out: expect.stringContaining("has stopped"),
    });
    expect(await raworc(["stop"])).toMatchObject({ code: 0, out: "Raworc is not running.\n" });
    expect(await raworc(["logs", "server", "-n", "5"])).toMatchObject({ code: 0, err: "" });
  });

  test("what was done to the database, and a key that was lost, are found without a server too", async () => {
    const database = new DatabaseSync(join(home, "data", "raworc.db"));
    database.exec("delete from audit_events where seq = 4");
    database.close();
    const verified = await raworc(["audit", "verify"]);
    expect(verified).toMatchObject({ code: 1, out: expect.stringContaining("event 5: events 4 to 4 are missing") });
    const key = join(home, "data", "keys", "encryption.key");
    await rename(key, `${key}.away`);
    const doctor = await raworc(["doctor"], { environment: { RAWORC_PORT: "0" } });
    expect(doctor.code).toBe(1);
    expect(doctor.out).toMatch(/✗ Keys +secrets are sealed with the key [0-9a-f]{16}, and there is none here/);
    expect(existsSync(key)).toBe(false);
    await rename(`${key}.away`, key);
  });
});

/** How long a person would wait before he thinks that it hangs. */
const PATIENCE_MS = 60_000;

/** A command on a pseudo-terminal, as a person sees it. */
class Terminal implements AsyncDisposable {
  raw = "";
  /** The exit code. */
  readonly ended: Promise<number>;
  readonly #pty: IPty;
  #seen = 0;
  #hasExited = false;
  #wake: (() => void) | undefined;

  constructor(words: readonly string[], env: Record<string, string>) {
    const size = { cols: 100, rows: 30 };
    this.#pty = spawnTerminal(process.execPath, [RAWORC, ...words], { ...size, env, name: "xterm-256color" });
    this.#pty.onData((data) => {
      this.raw += data;
      this.#wake?.();
    });
    this.ended = new Promise((resolve) => {
      this.#pty.onExit(({ exitCode }) => {
        this.#hasExited = true;
        this.#wake?.();
        resolve(exitCode);
      });
    });
  }

  type(text: string): void {
    this.#pty.write(text);
  }

  kill(signal: string): void {
    this.#pty.kill(signal);
  }

  /** Waits for text that comes after what was waited for before. */
  async until(expected: string | RegExp): Promise<void> {
    let impatient = false;
    const timer = setTimeout(() => {
      impatient = true;
      this.#wake?.();
    }, PATIENCE_MS);
    try {
      for (;;) {
        const text = stripVTControlCharacters(this.raw).replaceAll("\r", "");
        const rest = text.slice(this.#seen);
        const found = typeof expected === "string" ? expected : (expected.exec(rest)?.[0] ?? expected);
        if (typeof found === "string" && rest.includes(found)) {
          this.#seen += rest.indexOf(found) + found.length;
          return;
        }
        if (this.#hasExited || impatient) throw new Error(`${expected} did not come. The terminal shows:\n${text}`);
        await new Promise<void>((resolve) => {
          this.#wake = resolve;
        });
      }
    } finally {
      clearTimeout(timer);
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    if (!this.#hasExited) this.#pty.kill("SIGKILL");
    await this.ended;
  }
}

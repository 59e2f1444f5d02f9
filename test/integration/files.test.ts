import { createHash } from "node:crypto";
import { once } from "node:events";
import { request } from "node:http";
import { connect } from "node:net";
import type { SessionFiles } from "@raworc/client";
import { API_BASE, type FileEntry } from "@raworc/contract";
import { afterAll, beforeAll, expect, test } from "vitest";
import { peakMemoryKb } from "../support/process-memory.ts";
import { describeWith } from "../support/requirements.ts";
import { type Client, TestServer } from "../support/test-server.ts";

const LARGE_MB = Number(process.env["RAWORC_TEST_FILE_MB"] ?? 256);
const MIB = 1024 * 1024;

for (const runtime of ["sandbox", "docker"] as const) {
  describeWith([runtime], `files of a session on ${runtime}`, () => {
    let server: TestServer;
    let client: Client;
    let id: string;
    let files: SessionFiles;
    /** Somebody without files-any. */
    let developer: Client;

    beforeAll(async () => {
      server = await TestServer.start({ runtime });
      client = await server.client();
      await client.call("service-accounts.create", { body: { user: "dev", pass: "developer" } });
      await client.call("role-bindings.create", {
        body: { role_name: "developer", principal: "dev", space: "default" },
      });
      developer = await server.client("dev", "developer");
      ({ id } = await developer.call("sessions.create", { body: { wait: "ready" } }));
      files = developer.files(id);
    });

    afterAll(() => server.destroy());

    async function sh(command: string): Promise<string> {
      const { exit_code, stderr, stdout } = await developer.call("sessions.exec", {
        params: { id },
        body: { command, timeout_s: 120 },
      });
      if (exit_code !== 0) throw new Error(`${command}: ${stderr.slice(0, 500)}`);
      return stdout.trim();
    }

    const text = async (path: string, headers: Record<string, string> = {}) =>
      (await files.read(path, { headers })).text();
    const status = (work: Promise<unknown>) =>
      work.then(
        () => "fine",
        (error: { status?: number; code?: string }) => `${error.status} ${error.code}`,
      );

    test("are written as a whole, with folders above them, and belong to the session's user", async () => {
      const path = "workspace/a/b c/ü#?.txt";
      expect(await files.write(path, "first")).toMatchObject({ name: "ü#?.txt", size: 5, type: "file", mode: "0644" });
      expect(await text(path)).toBe("first");
      await sh("chmod 755 'a/b c/ü#?.txt'");
      const answer = await files.read(path);
      const etag = answer.headers.get("etag") ?? "";
      expect(answer.headers.get("content-type")).toBe("application/octet-stream");
      expect(await status(files.write(path, "second", { headers: { "if-match": '"other"' } }))).toBe(
        "412 precondition_failed",
      );
      expect(await status(files.write(path, "second", { headers: { "if-none-match": "*" } }))).toBe(
        "412 precondition_failed",
      );
      expect(await files.write(path, "second", { headers: { "if-match": etag } })).toMatchObject({ mode: "0755" });
      expect(await sh("stat -c '%u %a' 'a/b c/ü#?.txt' && cat 'a/b c/ü#?.txt'")).toBe("1000 755\nsecond");
      expect(await files.write("workspace/empty", "")).toMatchObject({ size: 0 });
      expect(await text("workspace/empty")).toBe("");
      expect(await sh("ls -A 'a/b c'")).toBe("ü#?.txt");
    });

    test("are read in ranges, and not again when they are known", async () => {
      await files.write("workspace/digits", "0123456789");
      const read = (range: string, more: Record<string, string> = {}) =>
        files.read("workspace/digits", { headers: { range, ...more } });
      for (const [range, expected] of [
        ["bytes=2-4", "234"],
        ["bytes=7-", "789"],
        ["bytes=-3", "789"],
        ["bytes=8-99", "89"],
      ] as const) {
        const answer = await read(range);
        expect([answer.status, await answer.text()]).toEqual([206, expected]);
      }
      expect((await read("bytes=2-4")).headers.get("content-range")).toBe("bytes 2-4/10");
      expect(await status(read("bytes=10-"))).toBe("416 range_not_satisfiable");
      expect(await (await read("bytes=1-2,4-5")).text()).toBe("0123456789");
      expect(await (await read("bytes=2-4", { "if-range": '"old"' })).text()).toBe("0123456789");
      const head = await client.raw(`sessions/${id}/files/workspace/digits`, { method: "HEAD" });
      expect([head.status, head.headers.get("content-length")]).toEqual([200, "10"]);
      const etag = head.headers.get("etag") ?? "";
      const again = await client.raw(`sessions/${id}/files/workspace/digits`, { headers: { "if-none-match": etag } });
      expect([again.status, await again.text()]).toEqual([304, ""]);
      expect(await (await read("bytes=2-4", { "if-range": etag })).text()).toBe("234");
    });

    test("are listed in pages, moved and deleted", async () => {
      await sh("mkdir many && cd many && seq -f 'f%04g' 1 2500 | xargs touch && ln -s f0001 zlink && mkfifo pipe");
      const names: string[] = [];
      for await (const entry of files.list("workspace/many")) names.push(entry.name);
      expect(names).toHaveLength(2502);
      expect(names).toEqual(names.toSorted());
      const page = (query: object) =>
        developer.page("files.get", { params: { id, "*": "workspace/many" }, query: { list: true, ...query } });
      expect((await page({ limit: 2 })).items.map((item) => (item as FileEntry).name)).toEqual(["f0001", "f0002"]);
      expect(await status(page({ cursor: "junk" }))).toBe("422 validation_failed");
      const kinds = new Map<string, string>();
      for await (const { name, type } of files.list("workspace/many")) kinds.set(name, type);
      expect([kinds.get("zlink"), kinds.get("pipe"), kinds.get("f0001")]).toEqual(["link", "other", "file"]);
      expect(await files.stat("workspace/many")).toMatchObject({ name: "many", type: "directory" });
      await files.move("workspace/many", "workspace/deep/er/moved");
      expect(await status(files.stat("workspace/many"))).toBe("404 not_found");
      expect(await status(files.move("workspace/nothing", "workspace/x"))).toBe("404 not_found");
      expect(await status(files.move("workspace/deep", "workspace/deep/er/in"))).toBe("422 validation_failed");
      await files.remove("workspace/deep/er/moved/f0001");
      expect(await status(files.remove("workspace/deep"))).toBe("422 not_a_file");
      await files.remove("workspace/deep", { recursive: true });
      expect(await status(files.stat("workspace/deep"))).toBe("404 not_found");
    });

    test("lead nowhere else: no path, no link and no race gets out", async () => {
      await sh(
        `mkdir -p out && ln -sf /etc/passwd out/link && ln -sfn /etc out/etc && ln -sfn /proc/self/root out/root &&
         ln -sf /session/workspace/digits out/inside && mkfifo out/fifo && ln -s loop out/loop`,
      );
      const refused = [
        "workspace/out/link",
        "workspace/out/etc/passwd",
        "workspace/out/root/etc/passwd",
        "../etc/passwd",
        "/etc/passwd",
      ];
      for (const path of refused) {
        expect([path, await status(files.read(path))]).toEqual([path, "403 forbidden"]);
        expect([path, await status(files.stat(path))]).toEqual([path, "403 forbidden"]);
        expect([path, await status(files.write(path, "x"))]).toEqual([path, "403 forbidden"]);
      }
      for (const path of ["workspace/out/etc", "workspace/out/root", "/", "/etc"]) {
        expect([path, await status(files.list(path).next())]).toEqual([path, "403 forbidden"]);
      }
      expect(await status(files.move("workspace/digits", "workspace/out/etc/x"))).toBe("403 forbidden");
      expect(await status(files.move("workspace/out/etc/passwd", "workspace/x"))).toBe("403 forbidden");
      expect(await status(files.remove("workspace/out/etc/passwd"))).toBe("403 forbidden");
      expect(await text("workspace/out/inside")).toBe("0123456789");
      await files.write("workspace/out/inside", "0123456789");
      expect(await sh("readlink out/inside; readlink out/link")).toBe("/session/workspace/digits\n/etc/passwd");
      // As bytes on the wire, whatever clients would make of them.
      for (const path of [
        "../../../../etc/passwd",
        "%2e%2e/etc/passwd",
        "%2Fetc%2fpasswd",
        "/etc/passwd",
        "a/..%2f..%2fetc/passwd",
      ]) {
        expect([path, await rawStatus(path)]).toEqual([path, 403]);
      }
      expect(await rawStatus("workspace/a%00b")).toBe(422);
      expect(await rawStatus("workspace/%ff")).toBe(400);
      // What is no file is not waited for.
      expect(await status(files.read("workspace/out/fifo"))).toBe("422 not_a_file");
      expect(await status(files.write("workspace/out/fifo", "x"))).toBe("422 not_a_file");
      expect(await status(files.read("workspace/out/loop"))).toBe("422 not_a_file");
      expect(await status(files.read("workspace"))).toBe("422 not_a_file");
      expect(await status(files.remove("", { recursive: true }))).toBe("422 not_a_file");
      // A folder and a link out that change places all the time.
      await sh(
        `mkdir -p race && cd race && mkdir -p real && echo mine > real/passwd && ln -sfn /etc swapped &&
         (timeout 20 sh -c 'while [ ! -e stop ]; do ln -sfn real swapped; ln -sfn /etc swapped; done' > /dev/null 2>&1 &)`,
      );
      const seen = new Set<string>();
      for (let round = 0; round < 120; round += 1) {
        seen.add(await text("workspace/race/swapped/passwd").catch(({ status }: { status: number }) => String(status)));
        await files.write("workspace/race/swapped/new", "x").catch(() => undefined);
      }
      expect([...seen].filter((found) => !["mine\n", "403", "404"].includes(found))).toEqual([]);
      expect(seen.has("mine\n")).toBe(true);
      await sh("touch race/stop && test ! -e /etc/new");
    });

    test("the system's own are out of reach, also with files-any", async () => {
      const all = client.files(id);
      expect(await (await all.read("/etc/passwd")).text()).toContain("root:");
      await all.write("/tmp/any", "any");
      expect(await text("tmp/any").catch(() => sh("cat /tmp/any"))).toBe("any");
      const closed = [
        "state/journal.ndjson",
        "/run/raworc/socket/host.sock",
        "/proc/self/environ",
        "/proc/1/root/session/state",
        "/sys/kernel/notes",
      ];
      for (const path of closed)
        expect([path, await status(all.read(path))]).toEqual([path, expect.stringMatching(/^40[34] /)]);
      expect(await status(all.write("state/x", "x"))).toBe("403 forbidden");
      expect(await status(all.list("state").next())).toBe("403 forbidden");
      expect(await status(all.move("state", "workspace/state"))).toBe("403 forbidden");
      expect(await status(all.move("workspace/digits", "state"))).toBe("403 forbidden");
      expect(await status(all.remove("logs", { recursive: true }))).toBe("403 forbidden");
      expect(await status(all.write("logs/x", "x"))).toBe("403 forbidden");
      const names: string[] = [];
      for await (const { name } of all.list("")) names.push(name);
      expect(names).toContain("workspace");
      expect(names).not.toContain("state");
    });

    test("an upload that breaks off, or finds the disk full, leaves nothing behind", async () => {
      await files.write("workspace/kept", "before");
      const upload = request(new URL(`${API_BASE}/sessions/${id}/files/workspace/kept`, server.url), {
        method: "PUT",
        headers: { authorization: `Bearer ${await token()}`, "content-length": 100 * MIB },
      });
      upload.on("error", () => undefined);
      upload.write(Buffer.alloc(4 * MIB));
      await expect.poll(() => sh("ls -A | grep -c raworc-upload || true"), { timeout: 20_000 }).toBe("1");
      upload.destroy();
      await expect.poll(() => sh("ls -A | grep -c raworc-upload || true"), { timeout: 20_000 }).toBe("0");
      expect(await text("workspace/kept")).toBe("before");
    });

    test("a full disk is told, at once where the length is known, and nothing stays behind", async () => {
      const small = await developer.call("sessions.create", { body: { wait: "ready", limits: { disk_mb: 128 } } });
      const params = { id: small.id };
      const run = async (command: string) =>
        (await developer.call("sessions.exec", { params, body: { command } })).stdout.trim();
      const its = developer.files(small.id);
      await its.write("workspace/kept", "before");
      const free = Number(await run("df --output=avail -m /session | tail -1"));
      expect(await status(its.write("workspace/kept", zeros(free + 20)))).toBe("507 disk_full");
      const known = { headers: { "content-length": String((free + 20) * MIB) } };
      expect(await status(its.write("workspace/kept", zeros(free + 20), known))).toBe("507 disk_full");
      expect(await (await its.read("workspace/kept")).text()).toBe("before");
      expect(await run("ls -A | grep raworc-upload || true")).toBe("");
      expect(Number(await run("df --output=avail -m /session | tail -1"))).toBeGreaterThan(free - 5);
      await developer.call("sessions.delete", { params });
    });

    test(`${LARGE_MB} MiB go through constant memory, both ways`, async () => {
      const before = peakMemoryKb(server.pid);
      const sent = createHash("sha256");
      expect(await files.write("workspace/large", counted(LARGE_MB, sent))).toMatchObject({ size: LARGE_MB * MIB });
      const got = createHash("sha256");
      const { body } = await files.read("workspace/large");
      for await (const piece of body ?? []) got.update(piece);
      expect(got.digest("hex")).toBe(sent.digest("hex"));
      expect(peakMemoryKb(server.pid) - before).toBeLessThan(128 * 1024);
      const peak =
        "cat /proc/*/status 2>/dev/null | grep -A30 -E '^Name:.(node|MainThread)' | grep VmHWM | sort -k2n | tail -1 | tr -dc 0-9";
      expect(Number(await sh(peak))).toBeLessThan(100 * 1024);
      // A reader who has seen enough.
      const { body: part } = await files.read("workspace/large");
      await part?.getReader().cancel();
      expect(await sh("echo well")).toBe("well");
    });

    test.runIf(runtime === "sandbox")("100,000 of them hold nobody up", async () => {
      await sh("mkdir crowd && cd crowd && seq 1 100000 | xargs -n 5000 touch");
      const first = developer.page("files.get", {
        params: { id, "*": "workspace/crowd" },
        query: { list: true, limit: 1000 },
      });
      expect(await sh("echo well")).toBe("well");
      expect((await first).items).toHaveLength(1000);
      await files.remove("workspace/crowd", { recursive: true });
      expect(await status(files.stat("workspace/crowd"))).toBe("404 not_found");
    });

    async function token(): Promise<string> {
      const anonymous = await developer.call("tokens.create", { body: { name: "files" } });
      return anonymous.token;
    }

    async function rawStatus(path: string): Promise<number> {
      const { hostname, port } = new URL(server.url);
      const socket = connect(Number(port), hostname);
      const head = `GET ${API_BASE}/sessions/${id}/files/${path} HTTP/1.1\r\nHost: localhost\r\n`;
      socket.write(`${head}Authorization: Bearer ${await token()}\r\nConnection: close\r\n\r\n`);
      const [piece] = (await once(socket, "data")) as [Buffer];
      socket.destroy();
      return Number(piece.toString().split(" ")[1]);
    }
  });
}

function zeros(megabytes: number): ReadableStream<Uint8Array> {
  return counted(megabytes, createHash("sha256"));
}

/** Pieces that differ, made as they are asked for. */
function counted(megabytes: number, hash: ReturnType<typeof createHash>): ReadableStream<Uint8Array> {
  let count = 0;
  return new ReadableStream({
    pull(controller) {
      if (count === megabytes) return controller.close();
      const piece = Buffer.alloc(MIB, count % 251);
      count += 1;
      hash.update(piece);
      controller.enqueue(piece);
    },
  });
}

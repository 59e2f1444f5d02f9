import { execFile } from "node:child_process";
import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

const MAIN = new URL("../../packages/server/src/main.ts", import.meta.url).pathname;

let plane: ControlPlane;
let admin: string;
let home: string;

beforeEach(async () => {
  home = await mkdtemp(join(tmpdir(), "raworc-admin-"));
  plane = await openControlPlane({ directory: join(home, "data") });
  admin = await plane.login("admin", "admin");
});
afterEach(async () => {
  await plane.close();
  await rm(home, { recursive: true, force: true });
});

/** Runs a command of the server's program beside the control plane, as a process of its own. */
function run(command: string, environment: Record<string, string> = {}): Promise<{ code: number; output: string }> {
  const env = { PATH: process.env["PATH"] ?? "", HOME: home, RAWORC_HOME: home, ...environment };
  return new Promise((resolve) => {
    execFile(process.execPath, [MAIN, command], { env, timeout: 60_000 }, (error, stdout, stderr) => {
      resolve({ code: error === null ? 0 : Number(error.code ?? -1), output: `${stdout}${stderr}` });
    });
  });
}

const secret = (name: string) =>
  plane.call("POST", "/spaces/default/secrets", { token: admin, body: { key_name: name, value: `value of ${name}` } });
const values = async () => {
  const answer = await plane.call("GET", "/spaces/default/secrets?show_values=true", { token: admin });
  return answer.json<{ key_name: string; value: string }[]>().map(({ key_name, value }) => `${key_name}=${value}`);
};

test("the key is rotated beside a running server, which reads and writes on", async () => {
  for (const name of ["A", "B"]) await secret(name);
  expect(await run("rotate-key")).toMatchObject({ code: 0, output: expect.stringMatching(/^2 secrets sealed/) });
  expect((await secret("C")).statusCode).toBe(201);
  expect(await values()).toEqual(["C=value of C", "B=value of B", "A=value of A"]);
  expect(await readdir(join(home, "data", "keys"))).toEqual(["encryption.key", "signing.key"]);
  const rows = await plane.plainStore.read.selectFrom("secrets").select("key_id").distinct().execute();
  expect(rows).toHaveLength(1);
  expect(await run("rotate-key")).toMatchObject({ code: 0, output: expect.stringMatching(/^3 secrets sealed/) });
  expect(await run("audit-verify")).toMatchObject({ code: 0, output: expect.stringMatching(/^\d+ audit events, all/) });
});

test("a key from outside takes the place of the one in the data directory, and then of another from outside", async () => {
  await secret("A");
  const [first, second] = [randomBytes(32).toString("base64"), randomBytes(32).toString("hex")];
  const missing = await run("rotate-key", { RAWORC_ENCRYPTION_KEY: first });
  expect(missing).toMatchObject({ code: 1, output: expect.stringContaining("RAWORC_NEW_ENCRYPTION_KEY") });
  for (const [from, to] of [
    [first, first],
    [first, second],
  ] as const) {
    const rotated = await run("rotate-key", { RAWORC_ENCRYPTION_KEY: from, RAWORC_NEW_ENCRYPTION_KEY: to });
    expect(rotated).toMatchObject({ code: 0, output: expect.stringMatching(/^1 secrets sealed/) });
    expect(rotated.output).not.toContain(to);
    // The running server has neither, and finds them by the key that it has.
    expect(await values()).toEqual(["A=value of A"]);
  }
  expect(await run("audit-verify", { RAWORC_ENCRYPTION_KEY: second })).toMatchObject({ code: 0 });
});

test("a changed event is found and named", async () => {
  await secret("A");
  expect(await run("audit-verify")).toMatchObject({ code: 0 });
  await plane.plainStore.write((transaction) =>
    transaction.updateTable("audit_events").set({ principal: "somebody" }).where("seq", "=", 3).execute(),
  );
  const found = await run("audit-verify");
  expect(found.code).toBe(1);
  expect(found.output).toContain("event 3: the event was changed");
});

test("a removed event, one put in another's place and a cut end are found and named", async () => {
  await secret("A");
  await secret("B");
  const { plainStore } = plane;
  const rows = await plainStore.read.selectFrom("audit_events").selectAll().orderBy("seq").execute();
  const restore = () =>
    plainStore.write(async (transaction) => {
      await transaction.deleteFrom("audit_events").execute();
      await transaction.insertInto("audit_events").values(rows).execute();
    });
  const remove = (seq: number) =>
    plainStore.write((transaction) => transaction.deleteFrom("audit_events").where("seq", "=", seq).execute());
  await remove(2);
  expect(await run("audit-verify")).toMatchObject({
    code: 1,
    output: expect.stringContaining("events 2 to 2 are missing"),
  });
  await restore();
  await plainStore.write(async (transaction) => {
    for (const [from, to] of [
      [2, 1000],
      [3, 2],
      [1000, 3],
    ] as const) {
      await transaction.updateTable("audit_events").set({ seq: to }).where("seq", "=", from).execute();
    }
  });
  const moved = await run("audit-verify");
  expect(moved.code).toBe(1);
  for (const seq of [2, 3]) expect(moved.output).toContain(`event ${seq}: the event was changed`);
  await restore();
  await remove(rows.length);
  expect(await run("audit-verify")).toMatchObject({
    code: 1,
    output: expect.stringContaining(`events after ${rows.length - 1} are missing`),
  });
});

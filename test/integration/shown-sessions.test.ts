import { join } from "node:path";
import { afterAll, beforeAll, expect, test } from "vitest";
import { updateSession } from "../../packages/server/src/store/sessions.ts";
import { openStore } from "../../packages/server/src/store/store.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

let plane: ControlPlane;
let admin: string;
let viewer: string;
let id: string;

beforeAll(async () => {
  plane = await openControlPlane();
  admin = await plane.login("admin", "admin");
  const body = { user: "watcher", pass: "watcher-password" };
  expect((await plane.call("POST", "/service-accounts", { token: admin, body })).statusCode).toBe(201);
  viewer = await plane.login("watcher", "watcher-password");
  const made = await plane.call("POST", "/sessions", { token: admin, body: { name: "first" } });
  expect(made.statusCode).toBe(201);
  id = made.json<{ id: string }>().id;
});
afterAll(() => plane.close());

const get = (token: string) => plane.call("GET", `/sessions/${id}`, { token });

test("what is kept of a session is shown as long as it is true", async () => {
  const first = await get(admin);
  expect(first.json()).toMatchObject({ name: "first" });
  expect((await get(admin)).headers["etag"]).toBe(first.headers["etag"]);
  await plane.call("PUT", `/sessions/${id}`, { token: admin, body: { name: "second" } });
  const second = await get(admin);
  expect(second.json()).toMatchObject({ name: "second" });
  expect(second.headers["etag"]).not.toBe(first.headers["etag"]);
});

test("another server's change is shown by the next request", async () => {
  const other = await openStore({ kind: "sqlite", path: join(plane.directory, "raworc.db") });
  try {
    await get(admin);
    await other.write((transaction) => updateSession(transaction, id, { name: "elsewhere" }));
    expect((await get(admin)).json()).toMatchObject({ name: "elsewhere" });
  } finally {
    await other.close();
  }
});

test("who sees it is asked each time", async () => {
  expect((await get(viewer)).statusCode).toBe(404);
  const body = { role_name: "admin", principal: "watcher" };
  const bound = await plane.call("POST", "/role-bindings", { token: admin, body });
  expect(bound.statusCode).toBe(201);
  expect((await get(viewer)).statusCode).toBe(200);
  const binding = bound.json<{ id: string }>().id;
  await plane.call("DELETE", `/role-bindings/${binding}`, { token: admin });
  expect((await get(viewer)).statusCode).toBe(404);
  await plane.call("POST", "/auth/logout", { token: viewer });
  expect((await get(viewer)).statusCode).toBe(401);
  expect((await get(admin)).statusCode).toBe(200);
});

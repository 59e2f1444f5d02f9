import { afterAll, beforeAll, expect, test } from "vitest";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

let plane: ControlPlane;
let token: string;

beforeAll(async () => {
  plane = await openControlPlane();
  token = await plane.login("admin", "admin");
});
afterAll(() => plane.close());

const call = (method: "DELETE" | "POST", path: string, body?: unknown) => plane.call(method, path, { token, body });

const NOUNS: Readonly<Record<string, () => Promise<string>>> = {
  space: async () => {
    await call("POST", "/spaces", { name: "twice" });
    return "/spaces/twice";
  },
  agent: async () => {
    await call("POST", "/spaces/default/agents", { name: "twice", source_repo: "owner/twice" });
    return "/spaces/default/agents/twice";
  },
  secret: async () => {
    await call("POST", "/spaces/default/secrets", { key_name: "TWICE", value: "v" });
    return "/spaces/default/secrets/TWICE";
  },
  session: async () => `/sessions/${(await call("POST", "/sessions", {})).json<{ id: string }>().id}`,
  token: async () =>
    `/auth/tokens/${(await call("POST", "/auth/tokens", { name: "twice" })).json<{ id: string }>().id}`,
};

test.each(Object.entries(NOUNS))("of several who delete a %s at once, one has deleted it", async (_, make) => {
  const path = await make();
  const answers = await Promise.all(Array.from({ length: 6 }, () => call("DELETE", path)));
  expect(answers.map(({ statusCode }) => statusCode).toSorted()).toEqual([204, 404, 404, 404, 404, 404]);
});

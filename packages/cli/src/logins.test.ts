import { stat, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { expect, test } from "vitest";
import { normalizeServer } from "./context.ts";
import { testContext } from "./test-context.ts";

const login = { user: "admin", token: "secret", expires_at: null };

test("logins are kept for their owner alone, and given for their server alone", async () => {
  using run = testContext();
  const { context } = run;
  await context.logins.save("http://one:1", login);
  const { mode } = await stat(join(run.home, "auth.json"));
  expect(mode & 0o777).toBe(0o600);
  expect((await context.connect()).login).toEqual(login);
  expect(await context.logins.find("http://two:1")).toBeUndefined();
  expect(await context.logins.find("constructor")).toBeUndefined();
});

test("the server of the environment is not given the token of another", async () => {
  using run = testContext({ environment: { RAWORC_SERVER: "http://two:1/" } });
  await run.context.logins.save("http://one:1", login);
  expect(await run.context.connect()).toMatchObject({ server: "http://two:1", login: undefined });
});

test("a token of the environment goes before a saved login", async () => {
  using run = testContext({ environment: { RAWORC_TOKEN: "mine" } });
  await run.context.logins.save("http://one:1", login);
  expect(await run.context.connect()).toMatchObject({ server: "http://one:1", login: { token: "mine" } });
});

test("the last login's server is the current one, until it is forgotten", async () => {
  using run = testContext();
  const { logins } = run.context;
  await logins.save("http://one:1", login);
  await logins.save("http://two:1", login);
  expect(await run.context.server()).toBe("http://two:1");
  await logins.remove("http://two:1");
  expect(await run.context.server()).toBe("http://127.0.0.1:9000");
  expect(await logins.find("http://one:1")).toEqual(login);
});

test("a broken file is named, with what to do about it", async () => {
  using run = testContext();
  await writeFile(run.context.logins.path, '{"current": 1}');
  await expect(run.context.connect()).rejects.toThrow(run.context.logins.path);
});

test("addresses have one spelling", () => {
  const spellings = ["127.0.0.1:9000", "http://127.0.0.1:9000/", "HTTP://127.0.0.1:9000?x#y"];
  expect(new Set(spellings.map(normalizeServer))).toEqual(new Set(["http://127.0.0.1:9000"]));
  expect(normalizeServer("https://x.example/raworc/")).toBe("https://x.example/raworc");
  expect(() => normalizeServer("ftp://x")).toThrow("no server address");
});

import { execFileSync } from "node:child_process";
import { mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { expect, test } from "vitest";
import { databasePassword, settingsOf, writeSettings } from "./settings.ts";

function inFolder<T>(work: (folder: string) => Promise<T>): Promise<T> {
  const folder = mkdtempSync(join(tmpdir(), "raworc-settings-"));
  return work(folder).finally(() => rmSync(folder, { recursive: true }));
}

test("Node.js reads settings as they were written, from a file that is its owner's alone", () =>
  inFolder(async (folder) => {
    const path = join(folder, "settings");
    const settings = { A: "plain", B: "it's # not a comment", C: 'a "quoted" word', D: "back\\slash $HOME", E: "'\"" };
    await writeSettings(path, settings);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    const program = "const { A, B, C, D, E } = process.env; console.log(JSON.stringify({ A, B, C, D, E }))";
    const read = execFileSync(process.execPath, [`--env-file=${path}`, "-e", program], { env: {}, encoding: "utf8" });
    expect(JSON.parse(read)).toEqual(settings);
    await expect(writeSettings(path, { KEY: "two\nlines" })).rejects.toThrow("KEY has a line break");
  }));

test("the server in a container gets its own home and database, and nothing that is not its business", () => {
  const environment = {
    HOME: "/home/me",
    AWS_SECRET: "no",
    RAWORC_TOKEN: "no",
    RAWORC_DATA_DIR: "/elsewhere",
    DATABASE_URL: "mysql://elsewhere/raworc",
    RAWORC_RUNTIME: "sandbox",
    RAWORC_LOG_LEVEL: "debug",
    RAWORC_CORS_ORIGINS: "",
    https_proxy: "http://proxy:1",
    npm_config_cache: "/home/me/.npm",
  };
  expect(settingsOf(environment, "/home/me/data", "a/b")).toEqual({
    RAWORC_LOG_LEVEL: "debug",
    https_proxy: "http://proxy:1",
    RAWORC_RUNTIME: "docker",
    RAWORC_DATA_DIR: "/home/me/data",
    DATABASE_URL: "mysql://raworc:a%2Fb@127.0.0.1:3307/raworc",
  });
});

test("a password is made once", () =>
  inFolder(async (folder) => {
    const path = join(folder, "password");
    const password = await databasePassword(path);
    expect(statSync(path).mode & 0o777).toBe(0o600);
    expect(await databasePassword(path)).toBe(password);
  }));

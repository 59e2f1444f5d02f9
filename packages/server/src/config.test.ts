import { mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, describe, expect, test } from "vitest";
import { ConfigError, isLoopback, loadConfig, refuseDefaultPasswords } from "./config.ts";

const directory = mkdtempSync(join(tmpdir(), "raworc-config-"));
const certificates = join(directory, "ca.crt");
writeFileSync(certificates, "certificates");
afterAll(() => rmSync(directory, { recursive: true }));

function problemsOf(env: Record<string, string>): readonly string[] {
  try {
    loadConfig(env);
    return [];
  } catch (error) {
    if (error instanceof ConfigError) return error.problems;
    throw error;
  }
}

test("an empty environment gives the defaults", () => {
  expect(loadConfig({ HOME: "/home/me" })).toMatchObject({
    components: ["server", "operator"],
    host: "127.0.0.1",
    port: 9000,
    home: "/home/me/.raworc",
    dataDirectory: "/home/me/.raworc/data",
    database: { kind: "sqlite", path: "/home/me/.raworc/data/raworc.db" },
    runtime: "auto",
    logLevel: "info",
    engineSocket: "/var/run/docker.sock",
    corsOrigins: [],
    trustedProxies: [],
    allowLocalSources: false,
    handedOn: { certificates: null, mirrorHosts: [], environment: {} },
  });
});

test("a variable that is empty counts as left out", () => {
  expect(loadConfig({ HOME: "/home/me", RAWORC_PORT: "", RAWORC_JWT_SECRET: "" })).toEqual(
    loadConfig({ HOME: "/home/me" }),
  );
});

test("a process may hold one of the components", () => {
  expect(loadConfig({ RAWORC_COMPONENTS: "operator" }).components).toEqual(["operator"]);
  expect(loadConfig({ RAWORC_COMPONENTS: "operator, server" }).components).toEqual(["server", "operator"]);
  expect(problemsOf({ RAWORC_COMPONENTS: "server,scheduler" })).toEqual([
    expect.stringMatching(/scheduler.*server and operator/),
  ]);
  expect(problemsOf({ RAWORC_COMPONENTS: "," })).toEqual([expect.stringContaining("RAWORC_COMPONENTS")]);
});

test("a fault is taken only where faults are enabled", () => {
  const env = { RAWORC_FAULT: "start:after" };
  expect(problemsOf(env)).toEqual([expect.stringContaining("RAWORC_ENABLE_FAULTS=true")]);
  expect(loadConfig({ ...env, RAWORC_ENABLE_FAULTS: "true" }).fault).toEqual({ point: "start", moment: "after" });
  expect(problemsOf({ RAWORC_FAULT: "start", RAWORC_ENABLE_FAULTS: "true" })).toEqual([
    expect.stringContaining("RAWORC_FAULT"),
  ]);
});

test("everything that is set is taken", () => {
  const config = loadConfig({
    RAWORC_HOME: "/srv/raworc",
    RAWORC_HOST: "::1",
    RAWORC_PORT: "0",
    RAWORC_DATA_DIR: "/data",
    RAWORC_ENCRYPTION_KEY: "ab".repeat(32),
    RAWORC_JWT_SECRET: "s".repeat(32),
    RAWORC_ADMIN_PASSWORD: "one",
    RAWORC_OPERATOR_PASSWORD: "two",
    DATABASE_URL: "mysql://me:secret@db:3306/raworc",
    RAWORC_RUNTIME: "sandbox",
    RAWORC_SESSION_IMAGE: "registry.example/session:1",
    RAWORC_LOG_LEVEL: "debug",
    RAWORC_CORS_ORIGINS: "https://a.example, http://localhost:3000",
    RAWORC_ALLOWED_HOSTS: "Raworc.Test",
    RAWORC_TRUSTED_PROXIES: "10.0.0.5,10.1.0.0/16 ::1",
    RAWORC_ALLOW_LOCAL_SOURCES: "true",
    RAWORC_CHECK_ANSWERS: "true",
    DOCKER_HOST: "unix:///run/user/1/docker.sock",
  });
  expect(config).toMatchObject({
    home: "/srv/raworc",
    host: "::1",
    port: 0,
    dataDirectory: "/data",
    adminPassword: "one",
    operatorPassword: "two",
    database: { kind: "mysql", url: "mysql://me:secret@db:3306/raworc" },
    runtime: "sandbox",
    sessionImage: "registry.example/session:1",
    logLevel: "debug",
    corsOrigins: ["https://a.example", "http://localhost:3000"],
    allowedHosts: ["raworc.test"],
    trustedProxies: ["10.0.0.5", "10.1.0.0/16", "::1"],
    allowLocalSources: true,
    checkAnswers: true,
    engineSocket: "/run/user/1/docker.sock",
  });
  expect(Buffer.from(config.encryptionKey ?? []).toString("hex")).toBe("ab".repeat(32));
  expect(Buffer.from(config.jwtSecret ?? []).toString()).toBe("s".repeat(32));
  expect(loadConfig({ DATABASE_URL: "sqlite:///srv/one.db" }).database).toEqual({
    kind: "sqlite",
    path: "/srv/one.db",
  });
  expect(loadConfig({ DOCKER_HOST: "tcp://engine:2375" }).engineSocket).toBeNull();
});

test("a configuration can't be changed", () => {
  const config = loadConfig({ RAWORC_CORS_ORIGINS: "*" });
  expect(() => Object.assign(config, { port: 1 })).toThrow(TypeError);
  expect(() => (config.corsOrigins as string[]).push("x")).toThrow(TypeError);
  expect(() => Object.assign(config.handedOn.environment, { A: "1" })).toThrow(TypeError);
});

describe("what is wrong", () => {
  test.each([
    ["RAWORC_PORT", "abc", /is no port\. Set a whole number.*9000/],
    ["RAWORC_PORT", "65536", /is no port/],
    ["RAWORC_PORT", "-1", /is no port/],
    ["RAWORC_PORT", "9000.5", /is no port/],
    ["RAWORC_HOST", "not a host", /Set one to listen on/],
    ["RAWORC_HOST", "http://127.0.0.1", /Set one to listen on/],
    ["RAWORC_RUNTIME", "podman", /auto, docker, sandbox, kubernetes/],
    ["RAWORC_LOG_LEVEL", "loud", /trace, debug/],
    ["RAWORC_ALLOW_LOCAL_SOURCES", "yes", /Set true or false/],
    ["RAWORC_CHECK_ANSWERS", "1", /Set true or false/],
    ["RAWORC_CORS_ORIGINS", "https://a.example/path", /origins without a path/],
    ["RAWORC_CORS_ORIGINS", "a.example", /origins without a path/],
    ["RAWORC_TRUSTED_PROXIES", "10.0.0.0/33", /addresses or networks/],
    ["RAWORC_TRUSTED_PROXIES", "proxy.example", /addresses or networks/],
    ["RAWORC_ALLOWED_HOSTS", "a/b", /host names/],
    ["RAWORC_SESSION_IMAGE", "No Image", /image name/],
    ["SSL_CERT_FILE", "/nowhere/ca.crt", /no file that can be read/],
    ["SSL_CERT_FILE", directory, /no file that can be read/],
    ["PIP_INDEX_URL", "file:///etc", /no http or https URL/],
    ["HTTPS_PROXY", "http://", /address of the proxy/],
  ])("%s=%s is named with its value and what to set", (name, value, expected) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(expected);
    expect(problems[0]?.startsWith(`${name} (${JSON.stringify(value)})`)).toBe(true);
  });

  test.each([
    ["RAWORC_ENCRYPTION_KEY", "hunter2"],
    ["RAWORC_JWT_SECRET", "hunter2"],
    ["RAWORC_ADMIN_PASSWORD", "hunter2".repeat(200)],
    ["DATABASE_URL", "postgres://me:hunter2@db/x"],
    ["DATABASE_URL", "mysql://me:hunter2@db"],
  ])("%s is named without its value", (name, value) => {
    const problems = problemsOf({ [name]: value });
    expect(problems).toHaveLength(1);
    expect(problems[0]).toMatch(new RegExp(`^${name} .*\\. Set `));
    expect(problems[0]).not.toContain("hunter2");
  });

  test("all of it is told at once", () => {
    const wrong = { RAWORC_PORT: "x", RAWORC_RUNTIME: "x", RAWORC_JWT_SECRET: "x", PIP_INDEX_URL: "file:x" };
    expect(problemsOf(wrong)).toHaveLength(4);
    expect(() => loadConfig(wrong)).toThrow(/^The configuration is wrong:\n {2}- .*\n {2}- /);
    const both = { RAWORC_ENCRYPTION_KEY: "ab".repeat(32), RAWORC_ENCRYPTION_KEY_FILE: "/key" };
    expect(problemsOf(both)[0]).toMatch(/both set/);
  });
});

describe("what is handed on to builds and sessions", () => {
  const INSIDE = "/opt/raworc/ca.crt";

  test("certificates by their path inside, for each program that has a variable of its own", () => {
    const { handedOn } = loadConfig({ SSL_CERT_FILE: certificates });
    expect(handedOn.certificates).toBe(certificates);
    for (const name of ["SSL_CERT_FILE", "NODE_EXTRA_CA_CERTS", "PIP_CERT", "GIT_SSL_CAINFO", "CARGO_HTTP_CAINFO"]) {
      expect(handedOn.environment[name]).toBe(INSIDE);
    }
  });

  test("mirrors and proxies with their hosts", () => {
    const { handedOn } = loadConfig({
      PIP_INDEX_URL: "https://pypi.mirror.example:8443/simple",
      PIP_EXTRA_INDEX_URL: "https://one.example/simple http://two.example/simple",
      NPM_CONFIG_REGISTRY: "https://npm.mirror.example/",
      CARGO_REGISTRIES_INNER_INDEX: "sparse+https://cargo.mirror.example/index/",
      CARGO_NET_RETRY: "5",
      https_proxy: "proxy.example:3128",
      NO_PROXY: "localhost,.example",
    });
    expect(handedOn.mirrorHosts.toSorted()).toEqual([
      "cargo.mirror.example",
      "npm.mirror.example",
      "one.example",
      "proxy.example",
      "pypi.mirror.example",
      "two.example",
    ]);
    expect(handedOn.environment).toEqual({
      PIP_INDEX_URL: "https://pypi.mirror.example:8443/simple",
      PIP_EXTRA_INDEX_URL: "https://one.example/simple http://two.example/simple",
      NPM_CONFIG_REGISTRY: "https://npm.mirror.example/",
      CARGO_REGISTRIES_INNER_INDEX: "sparse+https://cargo.mirror.example/index/",
      CARGO_NET_RETRY: "5",
      HTTPS_PROXY: "proxy.example:3128",
      https_proxy: "proxy.example:3128",
      NO_PROXY: "localhost,.example",
      no_proxy: "localhost,.example",
    });
  });

  test("nothing else, above all no credential of this machine", () => {
    const { handedOn } = loadConfig({
      HOME: "/root",
      PATH: "/bin",
      AWS_SECRET_ACCESS_KEY: "x",
      RAWORC_JWT_SECRET: "x".repeat(32),
      DATABASE_URL: "mysql://a:b@c/d",
      NPM_TOKEN: "x",
      CARGO_REGISTRY_TOKEN: "x",
      CARGO_REGISTRIES_INNER_TOKEN: "x",
      CARGO_REGISTRIES_INNER_CREDENTIAL_PROVIDER: "x",
      CARGO_HOME: "/root/.cargo",
      PIP_CONFIG_FILE: "/root/pip.conf",
    });
    expect(handedOn.environment).toEqual({});
  });
});

describe("default passwords", () => {
  test.each([
    ["127.0.0.1", true],
    ["127.8.9.1", true],
    ["::1", true],
    ["localhost", true],
    ["0.0.0.0", false],
    ["::", false],
    ["192.168.1.5", false],
    ["127.example.com", false],
    ["::ffff:10.0.0.1", false],
  ])("%s is a loopback address: %s", (host, loopback) => {
    expect(isLoopback(host)).toBe(loopback);
    const listen = () => refuseDefaultPasswords(host, ["admin"]);
    if (loopback) expect(listen).not.toThrow();
    else expect(listen).toThrow(/admin has its default password.*RAWORC_ADMIN_PASSWORD/s);
    expect(() => refuseDefaultPasswords(host, [])).not.toThrow();
  });
});

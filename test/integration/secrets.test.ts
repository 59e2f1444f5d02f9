import { randomBytes } from "node:crypto";
import { mkdtemp, readdir, readFile, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterAll, afterEach, beforeAll, beforeEach, describe, expect, test } from "vitest";
import { type Identity, openIdentity } from "../../packages/server/src/access/identity.ts";
import { rotateKey } from "../../packages/server/src/secrets/key-rotation.ts";
import { sealSecret, secretsOfSpace } from "../../packages/server/src/secrets/space-secrets.ts";
import {
  type EncryptionKey,
  encryptionKeyOf,
  ensureNextKey,
  type Keys,
  loadKeys,
  promoteNextKey,
} from "../../packages/server/src/security/keys.ts";
import { insertSecret } from "../../packages/server/src/store/secrets.ts";
import { findSpace } from "../../packages/server/src/store/spaces.ts";
import { openStore, type Store } from "../../packages/server/src/store/store.ts";
import { silentLog } from "../../packages/server/src/telemetry/log.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";

const problem = (answer: { statusCode: number; json(): { code: string } }) =>
  `${answer.statusCode} ${answer.json().code}`;

describe("secrets of a space", () => {
  let plane: ControlPlane;
  let admin: string;
  let developer: string;
  const post = (body: unknown, token = admin) => plane.call("POST", "/spaces/home/secrets", { token, body });
  const get = (path: string, token = admin) => plane.call("GET", `/spaces/home/secrets${path}`, { token });

  beforeAll(async () => {
    plane = await openControlPlane();
    admin = await plane.login("admin", "admin");
    for (const name of ["home", "other"]) await plane.call("POST", "/spaces", { token: admin, body: { name } });
    await plane.call("POST", "/service-accounts", { token: admin, body: { user: "dev", pass: "dev" } });
    const body = { role_name: "developer", principal: "dev", space: "home" };
    await plane.call("POST", "/role-bindings", { token: admin, body });
    developer = await plane.login("dev", "dev");
  });
  afterAll(() => plane.close());

  test("metadata never has the value, and values need the right", async () => {
    const made = await post({ key_name: "API_KEY", value: "v1", description: "for the API" }, developer);
    expect(made.statusCode).toBe(201);
    expect(made.json()).toEqual({
      key_name: "API_KEY",
      space: "home",
      description: "for the API",
      version: 1,
      created_at: expect.any(String),
      updated_at: expect.any(String),
      created_by: "dev",
    });
    expect((await get("/API_KEY")).json()).toEqual(made.json());
    expect((await get("")).json()).toEqual([made.json()]);
    expect((await get("/API_KEY?show_values=true")).json()).toEqual({ ...made.json<object>(), value: "v1" });
    expect((await get("?show_values=true")).json()).toEqual([{ ...made.json<object>(), value: "v1" }]);
    for (const path of ["/API_KEY?show_values=true", "?show_values=true"]) {
      expect(problem(await get(path, developer))).toBe("403 forbidden");
    }
  });

  test("each reading of values is told of, with names, also a refused one", async () => {
    const events = await plane.call("GET", "/audit-events?action=read-values&limit=1000", { token: admin });
    const told = events.json<{ principal: string; name: string | null; outcome: string; details: object }[]>();
    expect(told.map(({ details, name, outcome, principal }) => ({ principal, name, outcome, details }))).toEqual([
      { principal: "dev", name: null, outcome: "denied", details: { code: "forbidden" } },
      { principal: "dev", name: "API_KEY", outcome: "denied", details: { code: "forbidden" } },
      { principal: "admin", name: null, outcome: "allowed", details: { key_names: ["API_KEY"] } },
      { principal: "admin", name: "API_KEY", outcome: "allowed", details: {} },
    ]);
  });

  test("a role may be given the values of some", async () => {
    await post({ key_name: "OTHER_KEY", value: "o" });
    const rule = (verbs: string[], names?: string[]) => ({
      api_groups: ["api"],
      resources: ["spaces", "secrets"],
      verbs,
      ...(names === undefined ? {} : { resource_names: names }),
    });
    const rules = [rule(["list", "get"]), rule(["read-values"], ["OTHER_KEY"])];
    await plane.call("POST", "/roles", { token: admin, body: { name: "some", rules } });
    await plane.call("POST", "/service-accounts", { token: admin, body: { user: "some", pass: "some" } });
    const body = { role_name: "some", principal: "some", space: "home" };
    await plane.call("POST", "/role-bindings", { token: admin, body });
    const token = await plane.login("some", "some");
    const list = await get("?show_values=true", token);
    expect(list.json()).toMatchObject([{ key_name: "OTHER_KEY", value: "o" }]);
    expect((await get("", token)).json()).toHaveLength(2);
    expect(problem(await get("/API_KEY?show_values=true", token))).toBe("403 forbidden");
  });

  test.each([
    "PATH",
    "HOME",
    "NODE_OPTIONS",
    "PYTHONPATH",
    "BASH_ENV",
    "ENV",
    "LD_PRELOAD",
    "RAWORC_SPACE",
    "HTTPS_PROXY",
    "no_proxy",
    "1ST",
    "A-B",
    "",
    "A".repeat(129),
  ])("%s is no name for a secret", async (key_name) => {
    expect(problem(await post({ key_name, value: "v" }))).toBe("422 validation_failed");
  });

  test.each([
    ["a NUL", "a\0b"],
    ["half a character", "\ud800"],
    ["more than 64 KiB", "é".repeat(32 * 1024 + 1)],
  ])("a value with %s is 422, and isn't told back", async (_, value) => {
    const answer = await post({ key_name: "BAD", value });
    expect(problem(answer)).toBe("422 validation_failed");
    expect(answer.body.length).toBeLessThan(1000);
  });

  test("64 KiB come back as they were; the same name twice is 409", async () => {
    const value = "é".repeat(32 * 1024);
    expect((await post({ key_name: "BIG", value })).statusCode).toBe(201);
    expect((await get("/BIG?show_values=true")).json<{ value: string }>().value).toBe(value);
    expect(problem(await post({ key_name: "BIG", value }))).toBe("409 name_taken");
    expect((await plane.call("DELETE", "/spaces/home/secrets/BIG", { token: admin })).statusCode).toBe(204);
  });

  test("sessions get the values of their space, and the version tells when to look again", async () => {
    const { keyring, store } = plane.identity;
    const ids = await store.read.selectFrom("spaces").select(["id", "name"]).execute();
    const idOf = (name: string) => ids.find((space) => space.name === name)?.id ?? "";
    const first = await secretsOfSpace(store.read, keyring, idOf("home"));
    expect(first.environment).toEqual({ API_KEY: "v1", OTHER_KEY: "o" });
    expect((await secretsOfSpace(store.read, keyring, idOf("other"))).environment).toEqual({});
    await plane.call("PUT", "/spaces/home/secrets/API_KEY", { token: admin, body: { value: "v2" } });
    const second = await secretsOfSpace(store.read, keyring, idOf("home"));
    expect(second.version).toBeGreaterThan(first.version);
    expect(second.environment["API_KEY"]).toBe("v2");
    await plane.call("DELETE", "/spaces/home/secrets/OTHER_KEY", { token: admin });
    const third = await secretsOfSpace(store.read, keyring, idOf("home"));
    expect(third.version).toBeGreaterThan(second.version);
    expect(third.environment).toEqual({ API_KEY: "v2" });
  });

  test("a value is nowhere but in its answer: not in the database file, log, audit, errors or events", async () => {
    const canary = "canary-4f1d9b7e";
    const later = "canary-later-77aa";
    await post({ key_name: "CANARY", value: canary });
    await plane.call("PUT", "/spaces/home/secrets/CANARY", { token: admin, body: { value: later } });
    await plane.call("PUT", "/spaces/home/secrets/CANARY", { token: admin, body: { value: canary } });
    const told = [
      await post({ key_name: "CANARY", value: canary }),
      await post({ key_name: "PATH", value: canary }),
      await post({ key_name: "X", value: [canary] }),
      await post({ key_name: "Y", value: canary, extra: canary }),
      await post({ key_name: "Z", value: `${canary}\0` }),
      await plane.call("PUT", "/spaces/home/secrets/CANARY", {
        token: admin,
        body: { value: canary },
        headers: { "if-match": '"x"' },
      }),
      await get("/CANARY"),
      await get(""),
      await plane.call("GET", "/spaces/home", { token: admin }),
      await plane.call("GET", "/audit-events?limit=1000", { token: admin }),
    ].map((answer) => answer.body);
    expect((await get("/CANARY?show_values=true")).body).toContain(canary);
    for (const file of await readdir(plane.directory, { withFileTypes: true, recursive: true })) {
      if (file.isFile()) told.push(await readIfThere(join(file.parentPath, file.name)));
    }
    const all = [...told, ...plane.logLines].join("\n");
    for (const value of [canary, later]) {
      expect(all).not.toContain(value);
      expect(all).not.toContain(Buffer.from(value).toString("base64").slice(0, 16));
      expect(all).not.toContain(Buffer.from(value).toString("hex"));
    }
  });

  test("a sealed value that is moved to another name or space opens nowhere", async () => {
    await post({ key_name: "MOVED", value: "m" });
    const move = (set: { key_name: string }) =>
      plane.plainStore.write((transaction) =>
        transaction.updateTable("secrets").set(set).where("key_name", "=", "MOVED").execute(),
      );
    await move({ key_name: "MOVED_AWAY" });
    const answer = await get("/MOVED_AWAY?show_values=true");
    expect(problem(answer)).toBe("500 internal");
    await plane.call("DELETE", "/spaces/home/secrets/MOVED_AWAY", { token: admin });
  });
});

describe("rotation of the encryption key", () => {
  let directory: string;
  let store: Store;
  const signing = randomBytes(32);
  const newKey = () => encryptionKeyOf(randomBytes(32));
  const given = (encryption: EncryptionKey): Keys => ({ signing, encryption, ownsEncryption: false });
  const open = (keys: Keys) => openIdentity(store, keys, { dataDirectory: directory }, silentLog());

  beforeEach(async () => {
    directory = await mkdtemp(join(tmpdir(), "raworc-keys-"));
    store = await openStore({ kind: "sqlite", path: join(directory, "raworc.db") });
  });
  afterEach(async () => {
    await store.close();
    await rm(directory, { recursive: true, force: true });
  });

  /** A server with these keys: writes secrets as the API does, and reads all. */
  async function serve(keys: Keys) {
    const identity = await open(keys);
    const spaceId = (await findSpace(store.read, "default"))?.id ?? "";
    const write = (keyName: string) =>
      store.write(async (transaction) => {
        const value = await sealSecret(transaction, identity.keyring, { spaceId, keyName }, `value of ${keyName}`);
        await insertSecret(transaction, { spaceId, keyName, value, description: "", createdBy: "admin" });
      });
    const read = async () => (await secretsOfSpace(store.read, identity.keyring, spaceId)).environment;
    return { identity, write, read };
  }
  async function serveWith(key: EncryptionKey, count: number) {
    const server = await serve(given(key));
    for (let index = 0; index < count; index += 1) await server.write(`S${index}`);
    return server;
  }
  const expected = (count: number) =>
    Object.fromEntries(Array.from({ length: count }, (_, index) => [`S${index}`, `value of S${index}`]));
  const sealedWith = async () => {
    const rows = await store.read.selectFrom("secrets").select("key_id").distinct().execute();
    return rows.map(({ key_id }) => key_id);
  };
  const wrapped = () => store.read.selectFrom("wrapped_keys").selectAll().execute();
  /** The store of a process that is killed after so many commits. */
  const killedAfter = (commits: number): Store => {
    let count = 0;
    const write: Store["write"] = (work) => {
      count += 1;
      return count > commits ? Promise.reject(new Error("killed")) : store.write(work);
    };
    return { ...store, write };
  };

  test("with keys from outside, a running server goes on, and the older key is not needed afterwards", async () => {
    const [older, newer] = [newKey(), newKey()];
    const server = await serveWith(older, 120);
    const command = await open(given(older));
    const begun = Promise.withResolvers<void>();
    const telling: Store = {
      ...store,
      write: (work) =>
        store.write(work).then((result) => {
          begun.resolve();
          return result;
        }),
    };
    const rotating = rotateKey({ ...command, store: telling, to: newer, leave: true });
    await begun.promise;
    await server.write("S120");
    expect(await rotating).toMatchObject({ unreadable: [] });
    await server.write("S121");
    expect(await sealedWith()).toEqual([newer.id]);
    expect(await server.read()).toEqual(expected(122));
    const restarted = await serve(given(newer));
    expect(await restarted.read()).toEqual(expected(122));
    expect(await wrapped()).toEqual([]);
    await expect(open(given(newKey()))).rejects.toThrow(newer.id);
    await expect(open(given(older))).rejects.toThrow(newer.id);
  });

  test.each([1, 2, 3])(
    "killed after %i commits, all is readable, and it ends when it is run again",
    async (commits) => {
      const [older, newer] = [newKey(), newKey()];
      await serveWith(older, 60);
      const options = { to: newer, leave: true };
      const first = await open(given(older));
      await expect(rotateKey({ ...first, ...options, store: killedAfter(commits) })).rejects.toThrow("killed");
      expect(await wrapped()).toHaveLength(2);
      const second = await open(given(older));
      expect(await secretsOf(second)).toEqual(expected(60));
      await rotateKey({ ...second, ...options, store });
      expect(await sealedWith()).toEqual([newer.id]);
      expect(await (await serve(given(newer))).read()).toEqual(expected(60));
    },
  );

  const secretsOf = async (identity: Identity) => {
    const spaceId = (await findSpace(store.read, "default"))?.id ?? "";
    return (await secretsOfSpace(store.read, identity.keyring, spaceId)).environment;
  };

  test("a server that starts with the new key in the middle ends the rotation", async () => {
    const [older, newer] = [newKey(), newKey()];
    const server = await serveWith(older, 60);
    const command = { ...server.identity, to: newer, leave: true };
    await expect(rotateKey({ ...command, store: killedAfter(1) })).rejects.toThrow("killed");
    expect(await sealedWith()).toEqual([older.id]);
    const restarted = await serve(given(newer));
    expect(await sealedWith()).toEqual([newer.id]);
    expect(await restarted.read()).toEqual(expected(60));
    expect(await wrapped()).toEqual([]);
  });

  test("with keys in the data directory, a running server finds the new one there, and the older file goes", async () => {
    const before = await loadKeys({ dataDirectory: directory });
    const running = await serve(before);
    await running.write("S0");
    const to = await ensureNextKey(directory);
    const command = await open(before);
    await rotateKey({ ...command, store, to, leave: false });
    await promoteNextKey(directory);
    await running.write("S1");
    expect(await sealedWith()).toEqual([to.id]);
    expect(await running.read()).toEqual(expected(2));
    const after = await loadKeys({ dataDirectory: directory });
    expect(after.encryption.id).toBe(to.id);
    expect(await (await serve(after)).read()).toEqual(expected(2));
    expect((await readdir(join(directory, "keys"))).toSorted()).toEqual(["encryption.key", "signing.key"]);
  });

  test("what no key opens is counted and left, not lost", async () => {
    const [older, newer] = [newKey(), newKey()];
    const server = await serveWith(older, 2);
    await store.write((transaction) =>
      transaction
        .updateTable("secrets")
        .set({ key_id: "0".repeat(16) })
        .where("key_name", "=", "S0")
        .execute(),
    );
    const rotation = await rotateKey({ ...server.identity, store, to: newer, leave: true });
    expect(rotation).toMatchObject({ resealed: 1, unreadable: [expect.any(String)] });
    expect(await wrapped()).not.toEqual([]);
  });
});

/** Drafts of files that are written anew may go before they are read. */
async function readIfThere(path: string): Promise<string> {
  try {
    return await readFile(path, "latin1");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return "";
    throw error;
  }
}

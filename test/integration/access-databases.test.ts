import { randomBytes } from "node:crypto";
import { afterEach, beforeEach, expect, test } from "vitest";
import { verifyAudit } from "../../packages/server/src/audit/verify-audit.ts";
import { rotateKey } from "../../packages/server/src/secrets/key-rotation.ts";
import { encryptionKeyOf } from "../../packages/server/src/security/keys.ts";
import { type ControlPlane, openControlPlane } from "../support/control-plane.ts";
import { describeDatabases } from "../support/databases.ts";

// What must hold whatever the database does with transactions that run beside each other.
describeDatabases("access, secrets and audit", (databases) => {
  let plane: ControlPlane;
  let admin: string;

  beforeEach(async () => {
    plane = await openControlPlane({ database: await databases.create() });
    admin = await plane.login("admin", "admin");
    await plane.call("POST", "/spaces", { token: admin, body: { name: "home" } });
  });
  afterEach(async () => {
    await plane.close();
  });

  test("of admins who remove each other at once, one stays", async () => {
    const people = ["p1", "p2", "p3", "p4", "p5"];
    const tokens = new Map([["admin", admin]]);
    for (const user of people) {
      await plane.call("POST", "/service-accounts", { token: admin, body: { user, pass: user } });
      const body = { role_name: "admin", principal: user };
      await plane.call("POST", "/role-bindings", { token: admin, body });
      tokens.set(user, await plane.login(user, user));
    }
    const answers = await Promise.all(
      [...tokens].map(([user, token]) =>
        plane.call("PUT", `/service-accounts/${user}`, { token, body: { active: false } }),
      ),
    );
    expect(answers.map(({ statusCode }) => statusCode).toSorted()).toEqual([...Array(5).fill(200), 409]);
  });

  test("changes at once make one unbroken chain, and each is in it", async () => {
    const answers = await Promise.all(
      Array.from({ length: 60 }, (_, index) =>
        plane.call("POST", "/spaces/home/secrets", {
          token: admin,
          body: { key_name: `K${index}`, value: `v${index}` },
        }),
      ),
    );
    expect(new Set(answers.map(({ statusCode }) => statusCode))).toEqual(new Set([201]));
    const told = await plane.call("GET", "/audit-events?resource=secrets&limit=1000", { token: admin });
    expect(told.json()).toHaveLength(60);
    expect((await verifyAudit(plane.plainStore.read, plane.identity.keyring)).findings).toEqual([]);
  });

  test("of two who have seen the same object, one changes it", async () => {
    await plane.call("POST", "/spaces/home/secrets", { token: admin, body: { key_name: "KEY", value: "0" } });
    const objects: [string, (value: string) => object][] = [
      ["/spaces/home", (description) => ({ description })],
      ["/spaces/home/secrets/KEY", (value) => ({ value })],
      ["/service-accounts/operator", (description) => ({ description })],
    ];
    for (const [path, body] of objects) {
      const { etag } = (await plane.call("GET", path, { token: admin })).headers;
      const headers = { "if-match": String(etag) };
      const answers = await Promise.all(
        ["1", "2", "3", "4"].map((value) => plane.call("PUT", path, { token: admin, body: body(value), headers })),
      );
      expect(answers.map(({ statusCode }) => statusCode).toSorted()).toEqual([200, 412, 412, 412]);
    }
  });

  test("values survive a rotation while they are written", async () => {
    const { keyring } = plane.identity;
    const to = encryptionKeyOf(randomBytes(32));
    keyring.add(to);
    const write = (name: string) =>
      plane.call("POST", "/spaces/home/secrets", { token: admin, body: { key_name: name, value: `value of ${name}` } });
    const names = Array.from({ length: 40 }, (_, index) => `K${index}`);
    const writing = (async () => {
      for (const name of names) expect((await write(name)).statusCode).toBe(201);
    })();
    await rotateKey({ ...plane.identity, store: plane.plainStore, to, leave: true });
    await writing;
    const rows = await plane.plainStore.read.selectFrom("secrets").select("key_id").distinct().execute();
    expect(rows).toEqual([{ key_id: to.id }]);
    const shown = await plane.call("GET", "/spaces/home/secrets?show_values=true&limit=1000", { token: admin });
    for (const { key_name, value } of shown.json<{ key_name: string; value: string }[]>()) {
      expect(value).toBe(`value of ${key_name}`);
    }
    expect((await verifyAudit(plane.plainStore.read, keyring)).findings).toEqual([]);
  });
});

import { randomBytes } from "node:crypto";
import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Keyring } from "../security/keyring.ts";
import { encryptionKeyOf } from "../security/keys.ts";
import { writeEncryptionKeyId } from "../store/encryption-keys.ts";
import { openStore, type Store } from "../store/store.ts";
import { silentLog } from "../telemetry/log.ts";
import { AuditLog } from "./audit-log.ts";
import { AuditNote, nameSubject, outsideOfCalls, withNote } from "./audit-note.ts";
import { auditedStore } from "./audited-store.ts";

let directory: string;
let plain: Store;
let store: Store;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-audit-"));
  plain = await openStore({ kind: "sqlite", path: join(directory, "raworc.db") });
  const key = encryptionKeyOf(randomBytes(32));
  await plain.write((transaction) => writeEncryptionKeyId(transaction, key.id));
  const audit = new AuditLog({ store: plain, keyring: new Keyring([key]), log: silentLog() });
  await audit.begin();
  store = auditedStore(plain, audit);
});
afterEach(async () => {
  await plain.close();
  await rm(directory, { recursive: true });
});

const note = () => new AuditNote({ action: "change", resource: "settings", requestId: "r", address: "a" });
const setting = (name: string) => (transaction: Parameters<Parameters<Store["write"]>[0]>[0]) =>
  transaction.insertInto("settings").values({ name, value: "" }).execute();
const told = async () => {
  const rows = await plain.read.selectFrom("audit_events").select(["action", "name"]).orderBy("seq").execute();
  return rows.filter(({ action }) => action === "change").map(({ name }) => name);
};

test("the first write of a call carries its event, with the name that it gives", async () => {
  await withNote(note(), async () => {
    await store.write(async (transaction) => {
      await setting("one")(transaction);
      nameSubject("one");
    });
    await store.write(setting("two"));
  });
  await store.write(setting("three"));
  expect(await told()).toEqual(["one"]);
});

test("many calls whose writes share a commit have one event each, their own", async () => {
  await Promise.all(
    Array.from({ length: 20 }, (_, index) =>
      withNote(note(), () =>
        store.write(async (transaction) => {
          await setting(`s${index}`)(transaction);
          nameSubject(`s${index}`);
        }),
      ),
    ),
  );
  expect((await told()).toSorted()).toEqual(Array.from({ length: 20 }, (_, index) => `s${index}`).toSorted());
});

test("a write that fails leaves no event, and the next one carries it", async () => {
  await withNote(note(), async () => {
    const failing = store.write(async (transaction) => {
      await setting("one")(transaction);
      throw new Error("no");
    });
    await expect(failing).rejects.toThrow("no");
    expect(await told()).toEqual([]);
    await store.write(setting("two"));
  });
  expect(await told()).toHaveLength(1);
});

test("work that a call has woken carries nothing of it", async () => {
  await withNote(note(), () => outsideOfCalls(() => store.write(setting("woken"))));
  expect(await told()).toEqual([]);
});

import { mkdtemp, rm } from "node:fs/promises";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Tokens } from "../security/tokens.ts";
import { findAccount, insertAccount, updateAccount } from "../store/accounts.ts";
import { openStore, type Store } from "../store/store.ts";
import { Authenticator } from "./authenticator.ts";

const tokens = new Tokens({ secret: new Uint8Array(32).fill(7) });
let directory: string;
let store: Store;
let reads = 0;

beforeEach(async () => {
  directory = await mkdtemp(join(tmpdir(), "raworc-access-"));
  const opened = await openStore({ kind: "sqlite", path: join(directory, "raworc.db") });
  reads = 0;
  const read = new Proxy(opened.read, {
    get: (target, name) => {
      reads += 1;
      const value: unknown = Reflect.get(target, name);
      return typeof value === "function" ? value.bind(target) : value;
    },
  });
  store = { ...opened, read };
});
afterEach(async () => {
  await store.close();
  await rm(directory, { recursive: true });
});

async function login(): Promise<string> {
  const account = await store.write((transaction) =>
    insertAccount(transaction, { user: "user", passwordHash: "", description: "", active: true }),
  );
  return (await tokens.issue({ accountId: account.id, generation: account.token_generation })).token;
}
const deactivate = (by: Authenticator) =>
  by.change(async (transaction) => {
    const account = await findAccount(transaction, "user");
    await updateAccount(transaction, account?.id ?? "", { active: false });
  });

test("a token that is known costs no reading of the database", async () => {
  let now = Date.now();
  const access = new Authenticator({ store, tokens, now: () => now });
  const token = await login();
  await access.authenticate(token);
  const before = reads;
  for (let count = 0; count < 100; count += 1) await access.authenticate(token);
  expect(reads).toBe(before);
  now += 250;
  await access.authenticate(token);
  expect(reads).toBe(before + 1);
});

test("a server that is told of another's change ends its calls without being asked anything", async () => {
  const [one, other] = [new Authenticator({ store, tokens }), new Authenticator({ store, tokens })];
  // Links between the two, as servers have them: each hears its own calls too.
  const listeners = [one, other];
  for (const access of listeners) access.tellOthers(() => listeners.forEach((listener) => listener.heard()));
  const token = await login();
  const caller = await other.authenticate(token);
  const ended = new Promise((resolve) => other.watch(caller, () => true, resolve));
  await deactivate(one);
  expect(await ended).toMatchObject({ code: "unauthenticated" });
});

test("a call that began with what has changed since is looked at when it begins to last", async () => {
  const access = new Authenticator({ store, tokens });
  const token = await login();
  const caller = await access.authenticate(token);
  await deactivate(access);
  const ended = new Promise((resolve) => access.watch(caller, () => true, resolve));
  expect(await ended).toMatchObject({ code: "unauthenticated" });
});

test("what was read while access changed is not kept", async () => {
  const access = new Authenticator({ store, tokens });
  const token = await login();
  const reading = access.authenticate(token);
  await deactivate(access);
  await Promise.resolve(reading).catch(() => undefined);
  await expect(access.authenticate(token)).rejects.toMatchObject({ code: "unauthenticated" });
});

test("a call is no longer watched once it has ended", async () => {
  const access = new Authenticator({ store, tokens });
  const caller = await access.authenticate(await login());
  let ends = 0;
  const stop = access.watch(
    caller,
    () => true,
    () => {
      ends += 1;
    },
  );
  stop();
  await deactivate(access);
  expect(ends).toBe(0);
});

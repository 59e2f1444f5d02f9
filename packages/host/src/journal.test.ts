import { appendFileSync, mkdtempSync, rmSync, statSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { afterEach, beforeEach, expect, test } from "vitest";
import { Journal } from "./journal.ts";

let directory = "";
beforeEach(() => {
  directory = mkdtempSync(join(tmpdir(), "raworc-journal-"));
});
afterEach(() => rmSync(directory, { recursive: true }));

const path = (): string => join(directory, "journal.ndjson");
const start = { type: "start", at: "2026-11-24T00:00:00.000Z" } as const;
const delta = (text: string) => ({ type: "delta", text }) as const;

test("gives the lines again after a restart, and knows what has no end", async () => {
  const before = Journal.open(path());
  const entry = before.create("a");
  entry.append(start);
  entry.append(delta("é\n"));
  await Promise.all([before.sync(), before.sync(), before.sync()]);
  before.close();

  const after = Journal.open(path());
  const found = after.entry("a");
  expect([0, 1].map((index) => JSON.parse(found?.line(index) ?? ""))).toEqual([start, delta("é\n")]);
  expect(after.unfinished().map(({ id }) => id)).toEqual(["a"]);
  after.close();
});

test("drops a record that was cut off, and goes on after the last whole one", () => {
  const before = Journal.open(path());
  before.create("a").append(start);
  before.close();
  appendFileSync(path(), '{"id":"a","line":{"type":"del');

  const after = Journal.open(path());
  after.entry("a")?.append(delta("next"));
  after.close();

  const last = Journal.open(path());
  expect(last.entry("a")?.count).toBe(2);
  expect(JSON.parse(last.entry("a")?.line(1) ?? "")).toEqual(delta("next"));
  last.close();
});

test("what was forgotten stays so after a restart", () => {
  const before = Journal.open(path());
  const entry = before.create("a");
  entry.append(start);
  before.forget(entry);
  before.create("b").append(start);
  before.close();
  const after = Journal.open(path());
  expect([after.entry("a"), after.entry("b")?.count]).toEqual([undefined, 1]);
  after.close();
});

test("is empty when all is forgotten, and compact when most is", () => {
  const journal = Journal.open(path());
  const kept = journal.create("kept");
  kept.append(start);
  const big = journal.create("big");
  for (let index = 0; index < 34; index += 1) big.append(delta("x".repeat(1024 * 1024)));
  kept.append(delta("kept"));
  journal.forget(big);
  expect(statSync(path()).size).toBeLessThan(1024);
  expect([0, 1].map((index) => JSON.parse(kept.line(index)))).toEqual([start, delta("kept")]);
  kept.append(delta("x".repeat(2 * 1024 * 1024)));
  kept.append(delta("more"));
  expect(JSON.parse(kept.line(3))).toEqual(delta("more"));
  journal.forget(kept);
  expect(statSync(path()).size).toBe(0);
  journal.close();
});

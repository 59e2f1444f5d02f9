import { existsSync, mkdirSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { pino } from "pino";
import { afterAll, expect, it } from "vitest";
import { EgressProxy } from "../egress.ts";
import { Layout } from "./layout.ts";
import { WayOut } from "./way-out.ts";

const root = mkdtempSync(join(tmpdir(), "raworc-way-"));
afterAll(() => rmSync(root, { recursive: true }));

it("leaves nothing of a socket whose making was cut short", async () => {
  const egress = new EgressProxy({ log: pino({ level: "silent" }), mirrorHosts: [] });
  const layout = new Layout(root, "instance");
  for (const folder of [layout.egress, layout.socketDirectory("one")]) mkdirSync(folder, { recursive: true });
  const draft = layout.egressDraft("one").path;
  // A server was killed between the two steps of serve().
  writeFileSync(draft, "");
  const wayOut = new WayOut(egress, layout);
  await wayOut.end("one");
  expect(existsSync(draft)).toBe(false);
  // The next one serves it all the same.
  writeFileSync(draft, "");
  await wayOut.serve("one", { mode: "open", allow: [] });
  expect(existsSync(draft)).toBe(false);
  expect(existsSync(join(layout.socketDirectory("one"), "egress.sock"))).toBe(true);
  await wayOut.close();
});

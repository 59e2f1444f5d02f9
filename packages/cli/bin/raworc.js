#!/usr/bin/env node
// Runs in any Node from 20 on, so nothing newer than that may be written here. The program itself needs a new one: where
// this process is an old one, the Node that the project brings along takes over.
import { spawn } from "node:child_process";
import { existsSync } from "node:fs";
import module from "node:module";
import { constants } from "node:os";
import { dirname, join } from "node:path";
import { fileURLToPath, pathToFileURL } from "node:url";

const NEEDED = [24, 7];
const here = dirname(fileURLToPath(import.meta.url));

function isNewEnough(version) {
  const [major, minor] = version.split(".").map(Number);
  return major > NEEDED[0] || (major === NEEDED[0] && minor >= NEEDED[1]);
}

function findProjectNode() {
  for (let folder = here; ; folder = dirname(folder)) {
    const program = join(folder, "node_modules", "node", "bin", "node");
    if (existsSync(program)) return program;
    if (folder === dirname(folder)) return undefined;
  }
}

function handOver(program) {
  const child = spawn(program, [fileURLToPath(import.meta.url), ...process.argv.slice(2)], { stdio: "inherit" });
  // The terminal sends Ctrl-C to both: what it means is for the child to say.
  process.on("SIGINT", () => {});
  for (const signal of ["SIGTERM", "SIGHUP"]) process.on(signal, () => child.kill(signal));
  child.on("error", (error) => {
    process.stderr.write(`error: ${program} can't be run: ${error.message}\n`);
    process.exit(1);
  });
  child.on("exit", (code, signal) => process.exit(code ?? 128 + (constants.signals[signal] ?? 0)));
}

if (isNewEnough(process.versions.node)) {
  const source = join(here, "..", "src", "main.ts");
  const built = join(here, "..", "dist", "main.js");
  // Half of the time that a small command takes is compiling; what is kept is checked against the sources.
  module.enableCompileCache?.(join(here, "..", "..", "..", "node_modules", ".cache", "raworc"));
  const { main } = await import(pathToFileURL(existsSync(source) ? source : built).href);
  await main();
} else {
  const program = findProjectNode();
  if (program === undefined) {
    process.stderr.write(
      `error: raworc needs Node.js ${NEEDED.join(".")} or newer, and this is ${process.versions.node}.\n` +
        "       In a checkout run: npm ci   (it brings a Node along); else install one from https://nodejs.org\n",
    );
    process.exitCode = 1;
  } else handOver(program);
}

import { rm } from "node:fs/promises";
import { type Report, reportAudit, rotateEncryptionKey } from "./administration.ts";
import { type App, openRuntime, startApp } from "./app.ts";
import { type Config, ConfigError, loadConfig, processEnvironment } from "./config.ts";
import { checkInstallation } from "./installation-check.ts";
import { DriverError } from "./runtime/driver.ts";
import { persist } from "./runtime/persistence.ts";
import { KeyError } from "./security/keys.ts";
import { openStore } from "./store/store.ts";
import { createLog, type Logger } from "./telemetry/log.ts";

/**
 * The server's process. `serve` (also without a word) runs the control plane until SIGTERM or SIGINT; `cleanup` removes all
 * computers and keeps records and volumes; `reset` removes everything of this installation; `audit-verify` and `rotate-key`
 * print what they have found and done, and end with 1 when it isn't good; `check` prints as JSON what it finds of database
 * and keys, and changes nothing.
 * Started with an IPC channel, it tells `{url, runtime, reason}` when it is ready, or `{error}`; without the component
 * `server` the url is null.
 */
async function main(command: string): Promise<void> {
  const config = loadConfig(processEnvironment());
  const log = createLog(config.logLevel);
  switch (command) {
    case "serve":
      return serve(config, log);
    case "cleanup":
      return cleanup(config, log);
    case "reset":
      return reset(config, log);
    case "audit-verify":
      return print(await reportAudit(config));
    case "rotate-key":
      return print(await rotateEncryptionKey(config, createLog("silent")));
    case "check":
      process.stdout.write(`${JSON.stringify(await checkInstallation(config))}\n`);
      return;
    default:
      throw new ConfigError([
        `There is no command ${command}; use serve, cleanup, reset, audit-verify, rotate-key or check.`,
      ]);
  }
}

async function serve(config: Config, log: Logger): Promise<void> {
  const app = await startApp(config, log);
  log.info({ url: app.url, runtime: app.runtime, reason: app.reason }, "ready");
  tell({ url: app.url, runtime: app.runtime, reason: app.reason });
  stopOnSignal(app, log);
}

const HOUR_MS = 3_600_000;

function stopOnSignal(app: App, log: Logger): void {
  let stopping = false;
  // An operator that has no computers and listens on no port has nothing else that keeps its process.
  setInterval(() => undefined, HOUR_MS);
  for (const signal of ["SIGTERM", "SIGINT"] as const) {
    process.on(signal, () => {
      if (stopping) process.exit(1);
      stopping = true;
      log.info({ signal }, "stopping");
      app.close().then(
        () => process.exit(0),
        (error: unknown) => {
          log.error({ err: error }, "stopping failed");
          process.exit(1);
        },
      );
    });
  }
}

async function cleanup(config: Config, log: Logger): Promise<void> {
  const store = await openStore(config.database);
  try {
    const runtime = await openRuntime(config, store, log);
    try {
      for (const { id, kind } of await runtime.driver.list()) {
        await runtime.driver.remove(id, { volume: kind === "builder" });
      }
    } finally {
      await runtime.close();
    }
  } finally {
    await store.close();
  }
}

async function reset(config: Config, log: Logger): Promise<void> {
  const store = await openStore(config.database);
  try {
    const runtime = await openRuntime(config, store, log);
    try {
      await runtime.driver.reset();
    } finally {
      await runtime.close();
    }
  } finally {
    await store.close();
  }
  await persist(() => rm(config.dataDirectory, { recursive: true, force: true }));
}

function print({ isGood, lines }: Report): void {
  process.stdout.write(`${lines.join("\n")}\n`);
  if (!isGood) process.exitCode = 1;
}

function tell(message: object): void {
  // The channel goes with the telling: whoever started this process may end before it.
  process.send?.(message, undefined, undefined, () => process.disconnect?.());
}

/** What people can do something about is told in words; all else is a bug and keeps its stack. */
function explain(error: unknown): string {
  if (error instanceof ConfigError || error instanceof KeyError || error instanceof DriverError) return error.message;
  if (error instanceof Error && "code" in error && error.code === "EADDRINUSE") {
    return "The port is in use. Stop what listens there, or choose another one: --port, or RAWORC_PORT.";
  }
  if (error instanceof Error && "code" in error && error.code === "EACCES" && "syscall" in error) {
    return `${error.message}. Check the rights of the data directory, or choose a port above 1023.`;
  }
  return error instanceof Error ? (error.stack ?? error.message) : String(error);
}

main(process.argv[2] ?? "serve").catch((error: unknown) => {
  const text = explain(error);
  process.stderr.write(`${text}\n`);
  process.exitCode = 1;
  if (process.send === undefined) process.exit(1);
  process.send({ error: text }, undefined, undefined, () => process.exit(1));
});

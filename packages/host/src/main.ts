import { readOwnConfig } from "./config.ts";
import { Host } from "./host.ts";
import { logLine } from "./host-log.ts";

// The computer lives as long as this process: what nobody expected is told and survived.
process.on("uncaughtException", (error) => logLine("error", "unexpected", { error: String(error.stack ?? error) }));

const host = await Host.start(readOwnConfig());

for (const signal of ["SIGTERM", "SIGINT"] as const) {
  process.on(signal, () => {
    host.close().then(
      () => process.exit(0),
      (error: unknown) => {
        logLine("error", "host could not end in order", { error: String(error) });
        process.exit(1);
      },
    );
  });
}

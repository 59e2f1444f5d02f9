import { watch } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { HostConnection } from "../host-connection.ts";

/** Resolves when the host's socket is there. It appears when the host answers. Begin before the computer starts. */
export function socketAppears(directory: string, signal: AbortSignal): Promise<void> {
  const path = join(directory, COMPUTER.hostSocket);
  return new Promise<void>((resolve, reject) => {
    const watcher = watch(directory);
    const settle = (how: () => void) => {
      watcher.close();
      signal.removeEventListener("abort", onAbort);
      how();
    };
    const onAbort = () => settle(() => reject(signal.reason));
    const look = () => {
      access(path).then(
        () => settle(resolve),
        () => undefined,
      );
    };
    watcher.on("change", look);
    watcher.on("error", (error) => settle(() => reject(error)));
    signal.addEventListener("abort", onAbort);
    if (signal.aborted) onAbort();
    else look();
  });
}

/** Throws a transient DriverError where the host does not answer. */
export async function askHealth(directory: string, signal: AbortSignal): Promise<void> {
  const connection = new HostConnection(directory);
  try {
    await connection.health(signal);
  } finally {
    connection.close();
  }
}

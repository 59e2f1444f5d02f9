import { watch } from "node:fs";
import { access } from "node:fs/promises";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { DriverError } from "../driver.ts";
import { HostConnection } from "../host-connection.ts";

const HEALTH_TIMEOUT_MS = 30_000;

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
  const late = AbortSignal.timeout(HEALTH_TIMEOUT_MS);
  try {
    await connection.health(AbortSignal.any([signal, late]));
  } catch (error) {
    if (signal.aborted || !late.aborted) throw error;
    throw new DriverError("The computer runs, and its host does not answer.", { cause: error, transient: true });
  } finally {
    connection.close();
  }
}

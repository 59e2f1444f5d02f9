import { existsSync, watch } from "node:fs";
import { join } from "node:path";
import { COMPUTER } from "@raworc/contract";
import { HostConnection } from "../host-connection.ts";

/** Resolves when the host of a computer that runs answers. Rejects with the signal's reason. */
export async function hostAnswers(socketDirectory: string, signal: AbortSignal): Promise<void> {
  await hostReady(socketDirectory, signal);
  const connection = new HostConnection(socketDirectory);
  try {
    await connection.health(signal);
  } finally {
    connection.close();
  }
}

/**
 * Resolves when the host's socket is there, which appears when it answers; none of an earlier one may be there. Watching
 * begins before the look, so that no appearance is missed. Rejects with the signal's reason.
 */
export function hostReady(socketDirectory: string, signal: AbortSignal): Promise<void> {
  const path = join(socketDirectory, COMPUTER.hostSocket);
  return new Promise((resolve, reject) => {
    signal.throwIfAborted();
    const watcher = watch(socketDirectory);
    const end = (act: () => void) => {
      watcher.close();
      signal.removeEventListener("abort", onAbort);
      act();
    };
    const look = () => existsSync(path) && end(resolve);
    const onAbort = () => end(() => reject(signal.reason));
    watcher.on("change", look);
    watcher.on("error", (error) => end(() => reject(error)));
    signal.addEventListener("abort", onAbort);
    look();
  });
}

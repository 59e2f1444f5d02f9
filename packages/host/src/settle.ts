import type { Readable } from "node:stream";
import { setImmediate as nextTurn } from "node:timers/promises";

/**
 * Resolves when all that is in flowing pipes by now has been read: the next turn of the event loop looks at each of them, and
 * reads more than a pipe can hold. For pipes in which what counts was written before something that is known already.
 */
export function allRead(): Promise<void> {
  return new Promise((resolve) => setImmediate(() => setImmediate(resolve)));
}

const QUIET_TURNS = 3;
/** A stream that is never quiet is left after this many turns. */
const TURNS_MAX = 256;

/**
 * Resolves when all that was in a flowing pipe by now has been read, though others may still hold its other end: each turn
 * of the event loop reads what there is, so a few turns without data, or the end, say that nothing is left.
 */
export async function settle(stream: Readable): Promise<void> {
  let quiet = 0;
  const onData = (): void => {
    quiet = 0;
  };
  stream.on("data", onData);
  try {
    for (let turn = 0; turn < TURNS_MAX && quiet < QUIET_TURNS && !stream.closed; turn += 1) {
      quiet += 1;
      await nextTurn();
      if (stream.isPaused()) await resumed(stream);
    }
  } finally {
    stream.off("data", onData);
  }
}

function resumed(stream: Readable): Promise<void> {
  return new Promise((resolve) => {
    const done = (): void => {
      stream.off("resume", done);
      stream.off("close", done);
      resolve();
    };
    stream.on("resume", done);
    stream.on("close", done);
  });
}

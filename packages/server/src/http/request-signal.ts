import type { ServerResponse } from "node:http";

/** Calls `end` when the caller may no longer do what he does; gives back how to stop watching. */
export type WatchCaller = (end: (reason: Error) => void) => () => void;

/** Both are of the server: it begins to stop, and some time later it waits no longer. */
export interface StopSignals {
  readonly closing: AbortSignal;
  readonly ending: AbortSignal;
}

/**
 * Aborted when the client has gone away before the answer's end, when the caller may no longer do what he does, or when the
 * server stops: at once where the answer goes on by itself, else when the time for it is up. All listeners end with the
 * answer.
 */
export function requestSignal(
  response: ServerResponse,
  { closing, ending }: StopSignals,
  watchCaller?: WatchCaller | undefined,
): AbortSignal {
  const controller = new AbortController();
  const onEnding = (): void => controller.abort(ending.reason);
  const onClosing = (): void => {
    // An answer that has begun is a stream, and an upgraded connection has no end of its own.
    if (response.headersSent || response.req.headers.upgrade !== undefined) controller.abort(closing.reason);
  };
  let stopWatching: (() => void) | undefined;
  const onClose = (): void => {
    closing.removeEventListener("abort", onClosing);
    ending.removeEventListener("abort", onEnding);
    stopWatching?.();
    if (!response.writableFinished) controller.abort(new Error("The client has gone away"));
  };
  if (ending.aborted) onEnding();
  else if (response.destroyed) onClose();
  else {
    if (closing.aborted) onClosing();
    closing.addEventListener("abort", onClosing, { once: true });
    ending.addEventListener("abort", onEnding, { once: true });
    response.once("close", onClose);
    stopWatching = watchCaller?.((reason) => controller.abort(reason));
  }
  return controller.signal;
}

import type { ServerResponse } from "node:http";

/** Calls `end` when the caller may no longer do what he does; gives back how to stop watching. */
export type WatchCaller = (end: (reason: Error) => void) => () => void;

/**
 * Aborted when the client has gone away before the answer's end, when `closing` is, or when the caller may no longer do
 * what he does. All listeners end with the answer.
 */
export function requestSignal(
  response: ServerResponse,
  closing: AbortSignal,
  watchCaller?: WatchCaller | undefined,
): AbortSignal {
  const controller = new AbortController();
  const onClosing = (): void => controller.abort(closing.reason);
  let stopWatching: (() => void) | undefined;
  const onClose = (): void => {
    closing.removeEventListener("abort", onClosing);
    stopWatching?.();
    if (!response.writableFinished) controller.abort(new Error("The client has gone away"));
  };
  if (closing.aborted) onClosing();
  else if (response.destroyed) onClose();
  else {
    closing.addEventListener("abort", onClosing, { once: true });
    response.once("close", onClose);
    stopWatching = watchCaller?.((reason) => controller.abort(reason));
  }
  return controller.signal;
}

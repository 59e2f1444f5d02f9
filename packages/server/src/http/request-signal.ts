import type { ServerResponse } from "node:http";

/**
 * Aborted when the client has gone away before the answer's end, or when `closing` is. Both listeners end with the answer.
 */
export function requestSignal(response: ServerResponse, closing: AbortSignal): AbortSignal {
  const controller = new AbortController();
  const onClosing = (): void => controller.abort(closing.reason);
  const onClose = (): void => {
    closing.removeEventListener("abort", onClosing);
    if (!response.writableFinished) controller.abort(new Error("The client has gone away"));
  };
  if (closing.aborted) onClosing();
  else if (response.destroyed) onClose();
  else {
    closing.addEventListener("abort", onClosing, { once: true });
    response.once("close", onClose);
  }
  return controller.signal;
}

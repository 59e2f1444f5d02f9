import type { Cancellation } from "./cancellation.ts";
import { GRACE_MS } from "./limits.ts";

export interface TaskLimitsOptions {
  readonly seconds: number;
  readonly cancellation: Cancellation;
  /** At the wish to cancel: from then on the task has GRACE_MS to end by itself. */
  readonly onCancel: () => void;
  readonly onOver: (reason: "timeout" | "cancelled") => void;
}

/** The time limit of a message and the wish to cancel it. */
export class TaskLimits {
  readonly #cancellation: Cancellation;
  readonly #timer: NodeJS.Timeout;
  #grace: NodeJS.Timeout | undefined;

  constructor({ seconds, cancellation, onCancel, onOver }: TaskLimitsOptions) {
    this.#cancellation = cancellation;
    this.#timer = setTimeout(() => onOver("timeout"), seconds * 1000);
    cancellation.listen(() => {
      onCancel();
      this.#grace = setTimeout(() => onOver("cancelled"), GRACE_MS);
    });
  }

  clear(): void {
    clearTimeout(this.#timer);
    clearTimeout(this.#grace);
    this.#cancellation.listen(undefined);
  }
}

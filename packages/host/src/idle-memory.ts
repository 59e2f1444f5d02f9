import { collectGarbage } from "./garbage.ts";

const IDLE_MS = 5000;

/** Gives memory back some time after the last use. */
export class IdleMemory {
  readonly #timer: NodeJS.Timeout;

  constructor() {
    this.#timer = setTimeout(() => {
      collectGarbage({ type: "major", execution: "sync", flavor: "last-resort" });
    }, IDLE_MS);
  }

  /** The host was used just now. */
  used(): void {
    this.#timer.refresh();
  }
}

/** The wish that a message end. Heard by one listener at a time. */
export class Cancellation {
  #wished = false;
  #listener: (() => void) | undefined;

  get wished(): boolean {
    return this.#wished;
  }

  cancel(): void {
    if (this.#wished) return;
    this.#wished = true;
    this.#listener?.();
  }

  /** Calls back at the wish, at once where it was there already. Undefined ends that. */
  listen(listener: (() => void) | undefined): void {
    this.#listener = listener;
    if (this.#wished) listener?.();
  }
}

import type { ComputerEvent } from "./engine-events.ts";

export type OwnChange = "pause" | "unpause";

/** Tells the events of this driver's own pauses from those of others, which somebody has to look at. */
export class OwnChanges {
  /** Events that are still to come. */
  readonly #expected = new Map<string, number>();

  /** Before the call. The engine tells of a change once, before or after it has answered. */
  async around(id: string, action: OwnChange, call: () => Promise<unknown>): Promise<void> {
    const key = keyOf(id, action);
    this.#add(key, 1);
    try {
      await call();
    } catch (error) {
      this.#add(key, -1);
      throw error;
    }
  }

  /** Whether an event is one of those; each counts once. */
  takes({ id, action }: ComputerEvent): boolean {
    const key = keyOf(id, action);
    if (!this.#expected.has(key)) return false;
    this.#add(key, -1);
    return true;
  }

  /** Events were missed: none of those before is to come any more. */
  forget(): void {
    this.#expected.clear();
  }

  #add(key: string, count: number): void {
    const expected = (this.#expected.get(key) ?? 0) + count;
    if (expected > 0) this.#expected.set(key, expected);
    else this.#expected.delete(key);
  }
}

function keyOf(id: string, action: string): string {
  return `${action} ${id}`;
}

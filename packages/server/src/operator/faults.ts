import type { Fault, FaultPoint } from "../domain/faults.ts";

/** Marks the places where a test can have the whole process end, as SIGKILL would end it there by chance. */
export class Faults {
  readonly #fault: Fault | undefined;

  /** Without a fault nothing ever happens. */
  constructor(fault?: Fault) {
    this.#fault = fault;
  }

  async around<T>(point: FaultPoint, work: () => Promise<T>): Promise<T> {
    this.#reach(point, "before");
    const result = await work();
    this.#reach(point, "after");
    return result;
  }

  #reach(point: FaultPoint, moment: Fault["moment"]): void {
    if (this.#fault?.point === point && this.#fault.moment === moment) process.kill(process.pid, "SIGKILL");
  }
}

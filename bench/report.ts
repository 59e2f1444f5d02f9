import { loadavg } from "node:os";
import { type Figures, figuresOf } from "./figures.ts";

export interface Line {
  readonly name: string;
  readonly unit: "ms" | "per s" | "MiB" | "count" | "×";
  readonly figures?: Figures;
  readonly value?: number;
  /** Of the same run; the ratio is value (p50) by floor. */
  readonly floor?: { readonly name: string; readonly value: number };
  /** What the ratio or value is to be, as the issue says it. */
  readonly goal?: string;
}

/** Collects what was measured, and prints it as a table or as JSON. */
export class Report {
  readonly #lines: Line[] = [];
  readonly #json: boolean;

  constructor(json: boolean) {
    this.#json = json;
    if (!json)
      process.stdout.write(
        `load ${loadavg()
          .map((load) => load.toFixed(2))
          .join(" ")}\n\n`,
      );
  }

  times(name: string, milliseconds: readonly number[], options: Pick<Line, "floor" | "goal"> = {}): Figures {
    const figures = figuresOf(milliseconds);
    this.#add({ name, unit: "ms", figures, ...options });
    return figures;
  }

  value(name: string, unit: Line["unit"], value: number, options: Pick<Line, "floor" | "goal"> = {}): void {
    this.#add({ name, unit, value, ...options });
  }

  skipped(name: string, why: string): void {
    if (!this.#json) process.stdout.write(`${name}: left out, ${why}\n`);
  }

  end(): void {
    if (!this.#json) return;
    process.stdout.write(
      `${JSON.stringify({ at: new Date().toISOString(), load: loadavg(), lines: this.#lines }, null, 2)}\n`,
    );
  }

  #add(line: Line): void {
    this.#lines.push(line);
    if (!this.#json) process.stdout.write(`${describe(line)}\n`);
  }
}

function describe({ name, unit, figures, value, floor, goal }: Line): string {
  const number = (amount: number) => (amount >= 100 ? amount.toFixed(0) : amount.toFixed(2));
  const shown = figures
    ? `p50 ${number(figures.p50)}  p95 ${number(figures.p95)}  p99 ${number(figures.p99)} ${unit} (${figures.count})`
    : `${number(value ?? Number.NaN)} ${unit}`;
  const measured = figures?.p50 ?? value ?? Number.NaN;
  const ratio = floor ? `  = ${(measured / floor.value).toFixed(2)} × ${floor.name} (${number(floor.value)})` : "";
  return `${name.padEnd(52)} ${shown}${ratio}${goal ? `  goal ${goal}` : ""}`;
}

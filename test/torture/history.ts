/** Something that was killed, with the session that it hit. */
export interface Disturbance {
  readonly at: number;
  readonly session: string;
}

/** What was done, in order, so that a failure can be understood and repeated. */
export class History {
  readonly #start = Date.now();
  readonly #lines: string[] = [];
  readonly #disturbances: Disturbance[] = [];
  readonly #counts = new Map<string, number>();
  readonly violations: string[] = [];
  /** What all servers have written, one after the other. */
  readonly serverLog: string[] = [];

  /** `outcome` is the status or code that came back, where the action has one. */
  add(action: string, about = "", outcome = ""): void {
    const seconds = ((Date.now() - this.#start) / 1000).toFixed(3).padStart(9);
    this.#lines.push([seconds, action, about, outcome].filter(Boolean).join(" "));
    this.#counts.set(action, (this.#counts.get(action) ?? 0) + 1);
  }

  /** The computer of a session, or something in it, was killed, not before `at`: its end may be recorded before this is. */
  disturb(action: string, session: string, at: number): void {
    this.#disturbances.push({ at, session });
    this.add(action, session);
  }

  /** Whether a session was hit within a time; a process that was killed may be noticed a little later. */
  wasDisturbed(session: string, from: number, until: number): boolean {
    const noticedAfterMs = 1000;
    return this.#disturbances.some(
      (each) => each.session === session && each.at >= from - noticedAfterMs && each.at <= until,
    );
  }

  /** An error that a server logs is something that nobody has foreseen. */
  addServerLog(text: string): void {
    const lines = text.split("\n").filter(Boolean);
    this.serverLog.push(...lines);
    for (const line of lines) {
      if (line.includes('"level":50') || line.includes('"level":60'))
        this.violation(`a server logged ${line.slice(0, 2000)}`);
    }
  }

  violation(text: string): void {
    this.violations.push(text);
    this.add("VIOLATION", text);
  }

  counts(): Readonly<Record<string, number>> {
    return Object.fromEntries([...this.#counts].sort());
  }

  lines(): readonly string[] {
    return this.#lines;
  }
}

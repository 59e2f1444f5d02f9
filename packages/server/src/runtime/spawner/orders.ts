/** What the server asks of the process that starts programs for it. */
export type Order =
  | ({ readonly order: "start"; readonly id: number } & ProgramStart)
  | { readonly order: "say"; readonly id: number; readonly descriptor: number; readonly text: string }
  | { readonly order: "hush"; readonly id: number }
  | { readonly order: "kill"; readonly id: number };

export interface ProgramStart {
  readonly words: readonly [string, ...string[]];
  readonly environment: Readonly<Record<string, string>>;
  /** Descriptor by which it tells something. */
  readonly told: number;
  /** Descriptors by which it is told something; they follow `told`. */
  readonly heard: readonly number[];
  /** File that gets its output. */
  readonly log: string | null;
}

/** What becomes of them. */
export type Notice =
  | { readonly notice: "started"; readonly id: number; readonly pid: number | null }
  | { readonly notice: "told"; readonly id: number; readonly text: string }
  | { readonly notice: "silent"; readonly id: number }
  | { readonly notice: "ended"; readonly id: number; readonly code: number | null };

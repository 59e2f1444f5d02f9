import type { Notice, Order } from "./orders.ts";

type OwnOrder<O = Order> = O extends { readonly order: "say" | "hush" | "kill" } ? Omit<O, "id"> : never;

export interface SpawnedProgramOptions {
  readonly order: (order: OwnOrder) => void;
  readonly onLetGo: () => void;
}

/** A program that the spawner has started, or is about to. */
export class SpawnedProgram {
  /** Undefined where it could not be started. */
  readonly pid: Promise<number | undefined>;
  /** Its exit code; null after a signal, where it could not be started, and where the spawner ended before. */
  readonly ended: Promise<number | null>;
  /** Called with what is told; without a text when nothing more will be. */
  onTold: (text?: string) => void = () => undefined;
  readonly #options: SpawnedProgramOptions;
  readonly #started = Promise.withResolvers<number | undefined>();
  readonly #ended = Promise.withResolvers<number | null>();
  #hasEnded = false;
  #isLetGo = false;

  constructor(options: SpawnedProgramOptions) {
    this.#options = options;
    this.pid = this.#started.promise;
    this.ended = this.#ended.promise;
  }

  get hasEnded(): boolean {
    return this.#hasEnded;
  }

  get isLetGo(): boolean {
    return this.#isLetGo;
  }

  say(descriptor: number, text: string): void {
    this.#options.order({ order: "say", descriptor, text });
  }

  /** Closes what it talks by. */
  hush(): void {
    this.#options.order({ order: "hush" });
  }

  kill(): void {
    this.#options.order({ order: "kill" });
  }

  /** It goes on by itself: this process may end before. */
  letGo(): void {
    this.#isLetGo = true;
    this.#options.onLetGo();
  }

  hear(notice: Notice): void {
    switch (notice.notice) {
      case "started":
        this.#started.resolve(notice.pid ?? undefined);
        return;
      case "told":
        this.onTold(notice.text);
        return;
      case "silent":
        this.onTold();
        return;
      case "ended":
        this.#hasEnded = true;
        this.#started.resolve(undefined);
        this.#ended.resolve(notice.code);
    }
  }
}

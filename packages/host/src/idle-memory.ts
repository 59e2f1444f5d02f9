const IDLE_MS = 5000;

interface Collection {
  readonly type: "major";
  readonly execution: "sync";
  readonly flavor: "last-resort";
}
type Collect = (collection: Collection) => void;

/** Gives memory back some time after the last use. */
export class IdleMemory {
  readonly #timer: NodeJS.Timeout;
  #collect: Collect | undefined;

  constructor() {
    this.#timer = setTimeout(() => {
      this.#collect ??= findCollect();
      this.#collect({ type: "major", execution: "sync", flavor: "last-resort" });
    }, IDLE_MS);
  }

  /** The host was used just now. */
  used(): void {
    this.#timer.refresh();
  }
}

/**
 * As an argument of Node.js the flag would cost each start 20 ms: V8 takes no code that was compiled with other flags. So it
 * is set for the moment in which the function is made.
 */
function findCollect(): Collect {
  const { setFlagsFromString } = process.getBuiltinModule("node:v8");
  setFlagsFromString("--expose-gc");
  try {
    return process.getBuiltinModule("node:vm").runInNewContext("gc") as Collect;
  } finally {
    setFlagsFromString("--no-expose-gc");
  }
}

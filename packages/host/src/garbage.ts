interface Collection {
  readonly type: "major" | "minor";
  readonly execution: "sync";
  readonly flavor?: "last-resort";
}
type Collect = (collection: Collection) => void;

let collect: Collect | undefined;

/** Takes back the memory of what nobody holds any more. */
export function collectGarbage(collection: Collection): void {
  collect ??= findCollect();
  collect(collection);
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

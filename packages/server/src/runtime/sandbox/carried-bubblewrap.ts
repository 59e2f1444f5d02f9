import { basename, join } from "node:path";
import { DriverError } from "../driver.ts";
import { findProgram, runProgram } from "./programs.ts";

/** Where this machine's bubblewrap is in computers whose root has none. */
const INSIDE = "/opt/raworc/bubblewrap";

/** How bubblewrap is started inside a computer, where agents need namespaces of their own. */
export interface CarriedBubblewrap {
  readonly words: readonly string[];
  readonly mounts: readonly { readonly source: string; readonly target: string }[];
}

/** The root is this machine's own: it has its programs. */
export const OWN_BUBBLEWRAP: CarriedBubblewrap = { words: ["bwrap"], mounts: [] };

/** An image has another C library, or none that fits: the program comes with its libraries and their loader. */
export async function carryBubblewrap(): Promise<CarriedBubblewrap> {
  const program = await findProgram("bwrap");
  const { stdout } = await runProgram(["ldd", program ?? "bwrap"]);
  const libraries = [...stdout.matchAll(/(?:^|\s)(\/\S+) \(0x/g)].map(([, path = ""]) => path);
  const loader = libraries.find((path) => basename(path).startsWith("ld-"));
  if (program === undefined || loader === undefined) {
    throw new DriverError("The libraries of bubblewrap can't be found: ldd says nothing of them", { transient: false });
  }
  const inside = (path: string): string => join(INSIDE, basename(path));
  return {
    words: [inside(loader), "--library-path", INSIDE, inside(program)],
    mounts: [program, ...libraries].map((source) => ({ source, target: inside(source) })),
  };
}

import { existsSync } from "node:fs";
import type { Socket } from "node:net";
import { COMPUTER } from "@raworc/contract";
import type { AgentProcesses } from "./agent-process.ts";
import { TERMINALS_OPEN_MAX } from "./limits.ts";
import { RequestError } from "./requests.ts";
import { type Size, Terminal } from "./terminal.ts";

const ID = /^[A-Za-z0-9][A-Za-z0-9._-]{0,63}$/;
const SIDE_MAX = 1000;
const ADDON = `${COMPUTER.program}/pty.node`;

export interface TerminalsOptions {
  readonly processes: AgentProcesses;
  /** Of the shell, as commands have it. */
  readonly environment: () => Readonly<Record<string, string>>;
}

/** The terminals of the session, by name. Each lives until its shell ends, whether anybody looks on or not. */
export class Terminals {
  readonly #options: TerminalsOptions;
  readonly #open = new Map<string, Promise<Terminal>>();

  constructor(options: TerminalsOptions) {
    this.#options = options;
  }

  /** The terminal of that name, which is made when there is none. Gives how to let a viewer look on. */
  async view(id: string, url: URL): Promise<(viewer: Socket) => void> {
    if (!ID.test(id)) throw new RequestError(422, "validation_failed", "This is no name of a terminal");
    const size = readSize(url);
    const found = this.#open.get(id);
    if (found === undefined && this.#open.size >= TERMINALS_OPEN_MAX) {
      throw new RequestError(409, "conflict", `There are ${TERMINALS_OPEN_MAX} terminals already; end one of them.`);
    }
    const terminal = await (found ?? this.#start(id, size));
    terminal.assertRoom();
    return (viewer) => {
      if (found !== undefined && size !== undefined) terminal.resize(size);
      terminal.addViewer(viewer);
    };
  }

  #start(id: string, size: Size | undefined): Promise<Terminal> {
    if (!existsSync(ADDON)) {
      const message = "Terminals are not installed on this server: @lydell/node-pty has no build for its processor.";
      return Promise.reject(new RequestError(503, "not_ready", message));
    }
    const { environment, processes } = this.#options;
    const { cols, rows } = size ?? { cols: 80, rows: 24 };
    const starting = processes
      .start({
        words: [process.execPath, ...process.execArgv, `${COMPUTER.program}/terminal.mjs`, String(cols), String(rows)],
        cwd: COMPUTER.workspace,
        environment: { ...environment(), TERM: "xterm-256color" },
        descriptors: ["pipe", "output", "output"],
      })
      .then((started) => {
        if (started.child.pid === undefined) {
          started.child.on("error", () => undefined);
          throw new RequestError(503, "not_ready", "No process could be started: are there too many already?");
        }
        return new Terminal(started, () => this.#open.delete(id));
      });
    this.#open.set(id, starting);
    starting.catch(() => this.#open.delete(id));
    return starting;
  }
}

/** What the viewer's screen has; undefined where it was not told. */
function readSize(url: URL): Size | undefined {
  const [cols, rows] = ["cols", "rows"].map((name) => Number(url.searchParams.get(name)));
  const fits = (side: number | undefined): side is number =>
    side !== undefined && Number.isInteger(side) && side > 0 && side <= SIDE_MAX;
  return fits(cols) && fits(rows) ? { cols, rows } : undefined;
}

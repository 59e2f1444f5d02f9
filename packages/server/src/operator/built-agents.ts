import { type BuiltAgent, findBuild } from "../store/builds.ts";
import type { Reader } from "../store/store.ts";

const BUILDS_MAX = 200;

/** The agents that a session has: those of its build, which never change once it is completed. */
export class BuiltAgents {
  readonly #reader: Reader;
  /** By build id, the longest unused first. */
  readonly #known = new Map<string, readonly BuiltAgent[]>();

  constructor(reader: Reader) {
    this.#reader = reader;
  }

  async of(session: { readonly build_id: string | null }): Promise<readonly BuiltAgent[]> {
    const id = session.build_id;
    if (id === null) return [];
    const known = this.#known.get(id);
    if (known !== undefined) {
      this.#known.delete(id);
      this.#known.set(id, known);
      return known;
    }
    const build = await findBuild(this.#reader, id);
    if (build?.status === "completed") this.#keep(id, build.agents);
    return build?.agents ?? [];
  }

  #keep(id: string, agents: readonly BuiltAgent[]): void {
    this.#known.set(id, agents);
    if (this.#known.size <= BUILDS_MAX) return;
    const [oldest] = this.#known.keys();
    if (oldest !== undefined) this.#known.delete(oldest);
  }
}
